"""Rows to metrics: what becomes what, and every check on the way."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.cases import cases
from parts.collectors import collector_of
from signals_core import Cancelled, Grain, Metric, MetricDefinition, WindowPolicy
from signals_core.distill import distill
from signals_core.errors import RowError
from signals_core.metric import Identity

MOMENT = datetime(2026, 1, 1, 23, 1, 0, 120_000, tzinfo=UTC)
READ = {
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "float": float,
    "list": list,
}
MANY = (
    MetricDefinition("orders", "COUNT", "orders"),
    MetricDefinition("revenue", "SUM", "revenue", tags={"currency": "eur"}),
)


def distilled(rows, *, bucket=None, check=lambda: None, **fields):
    return distill(collector_of(**fields), rows, timestamp=MOMENT, window=bucket, check=check)


def many(rows, **fields):
    return distilled(rows, metric=None, metrics=MANY, **fields)


def lines_of(reading):
    return [line for batch in reading.metrics.batches for line in batch.encoded]


def shown(reading):
    """Return the text of each value, and the tags."""
    found = [line.decode() for line in lines_of(reading)]
    values = [re.search(r'"value":(.*?),"type"', line)[1] for line in found]
    return list(zip(values, [json.loads(line)["tags"] for line in found], strict=True))


def refusal(rows, **fields):
    with pytest.raises(RowError) as caught:
        distilled(rows, **fields)
    return str(caught.value)


def cell_of(cell):
    if isinstance(cell, dict):
        ((kind, text),) = cell.items()
        return READ[kind](text)
    return cell


@pytest.mark.parametrize("case", cases("rows"))
def test_cases(case):
    """Rows become the metrics, or the error, that the semantic cases say."""
    rows = [{name: cell_of(cell) for name, cell in row.items()} for row in case["rows"]]
    tags = case.get("config", {})
    if "error" in case:
        message = refusal(rows, tags=tags)
        assert all(word in message for word in case["error"])
    else:
        found = shown(distilled(rows, tags=tags))
        assert [[value, tags] for value, tags in found] == case["expect"]
        assert [list(tags) for _, tags in found] == [sorted(tags) for _, tags in case["expect"]]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=3).filter(
    lambda name: name != "value"
)
cells = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.uuids(),
)
values = st.none() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=6)


@given(
    st.lists(st.dictionaries(names, cells, max_size=4), max_size=6),
    st.lists(values, min_size=6, max_size=6),
    st.dictionaries(names, st.text("ab", max_size=2), max_size=2),
    st.sampled_from([None, "1d", "1h"]),
)
def test_lines_are_those_of_their_metrics(rows, numbers, tags, text):
    """Each line is what its metric, decoded, would be encoded as, with the uuid of its parts."""
    rows = [
        {
            "value": number,
            "row": index,
            **{key: cell for key, cell in row.items() if key not in tags},
        }
        for index, (row, number) in enumerate(zip(rows, numbers, strict=False))
    ]
    tags.pop("row", None)
    grain = text and Grain.parse(text, "Europe/Paris")
    window = grain and grain.window(MOMENT)
    fields = {"grain": text, "timezone": "Europe/Paris", "window": text and WindowPolicy()}
    reading = distilled(rows, bucket=window, tags=tags, **fields)
    bounds = (window.start, window.end) if window else (MOMENT, MOMENT)
    identity = Identity("core.test", "core.count", *bounds)
    for line in lines_of(reading):
        metric = Metric.decode(line)
        assert metric.encode() == line
        assert identity.of(metric.tags) == metric.uuid
        assert tags.items() <= metric.tags.items()
    assert len(reading.metrics) + reading.nulls == reading.rows == len(rows)
    assert [m.value for m in reading.metrics] == [
        n["value"] for n in rows if n["value"] is not None
    ]


@pytest.mark.parametrize("policy", [WindowPolicy(), None])
def test_the_wire_form_in_a_bucket(policy):
    """With a grain metrics have its text and its zone, and the window's end if it is read whole."""
    window = Grain.parse("1d", "Europe/Paris").window(datetime(2026, 1, 1, 12, tzinfo=UTC))
    reading = distilled(
        [{"customer": "google", "value": 3}],
        bucket=window,
        name="new name",
        id="core.users.signups.1d",
        metric=MetricDefinition("core.users.signups", "COUNT"),
        tags={"env": "prod"},
        grain="1d",
        timezone="Europe/Paris",
        window=policy,
    )
    end = b',"window_end":"2026-01-01T23:00:00Z"' if policy else b""
    assert lines_of(reading) == [
        b'{"uuid":"f8640bb5-3e60-58f1-a7a9-8d0105299d0f","name":"core.users.signups","value":3,'
        b'"type":"COUNT","tags":{"customer":"google","env":"prod"},'
        b'"timestamp":"2026-01-01T23:01:00.120000Z","grain_datetime":"2025-12-31T23:00:00Z",'
        b'"collector":"core.users.signups.1d","grain":"1d","timezone":"Europe/Paris"' + end + b"}"
    ]
    assert reading.window == window and reading.collector == "core.users.signups.1d"
    assert reading.timestamp == MOMENT


def test_without_a_grain():
    """Without a grain the bucket is the timestamp, and neither grain nor zone is on the wire."""
    (line,) = lines_of(distilled([{"value": 1}]))
    text = b'"2026-01-01T23:01:00.120000Z"'
    assert line.endswith(
        b'"tags":{},"timestamp":'
        + text
        + b',"grain_datetime":'
        + text
        + b',"collector":"core.test"}'
    )
    (metric,) = distilled([{"value": 1}]).metrics
    assert metric.uuid == Identity("core.test", "core.count", MOMENT, MOMENT).of({})


def test_several_metrics_of_one_row():
    """Each definition makes a metric of each row; value columns are never tags."""
    reading = many(
        [{"country": "fr", "orders": 2, "revenue": Decimal("9.90")}], tags={"env": "prod"}
    )
    assert shown(reading) == [
        ("2", {"country": "fr", "env": "prod"}),
        ("9.90", {"country": "fr", "currency": "eur", "env": "prod"}),
    ]
    assert [metric.name for metric in reading.metrics] == ["orders", "revenue"]
    assert [metric.type for metric in reading.metrics] == ["COUNT", "SUM"]


@pytest.mark.parametrize("first", [Decimal("1.5"), 0.5, None, 7, "text"])
def test_a_number_that_no_metric_names(first):
    """With several metrics a float or decimal column that none names is an error in any row."""
    rows = [
        {"country": "fr", "orders": 1, "revenue": 1, "vat": first},
        {"country": "de", "orders": 1, "revenue": 1, "vat": Decimal("19.00")},
    ]
    with pytest.raises(RowError) as caught:
        many(rows)
    row = 1 if isinstance(first, (float, Decimal)) else 2
    assert str(caught.value).startswith(
        f"row {row}: the column 'vat' is a number that no metric names, which is no tag: "
    )
    assert str(caught.value).endswith("(add a metric for it, or cast it to text to make it a tag)")


def test_a_float_is_a_tag_of_a_single_metric():
    """With one metric every column but its value is a tag, a float too."""
    assert shown(distilled([{"share": 0.5, "value": 1}])) == [("1", {"share": "0.5"})]


def test_null_is_the_absence_of_a_tag():
    """A NULL tag, and a column that is not there, are the same tags."""
    message = refusal([{"a": None, "value": 1}, {"value": 2}])
    assert "with the tags none: an earlier one is {value=1}, row 2 is {value=2}" in message


def test_null_values():
    """A NULL value makes no metric; the reading counts them and says COALESCE once."""
    rows = [{"a": str(number), "value": None if number % 2 else number} for number in range(1100)]
    reading = distilled(rows)
    assert (reading.rows, reading.nulls, len(reading.metrics)) == (1100, 550, 550)
    (warning,) = reading.warnings
    assert warning.startswith("550 values were NULL") and "COALESCE" in warning


def test_a_null_of_one_metric_is_not_one_of_the_others():
    """With several metrics a row makes those whose values are there."""
    reading = many([{"orders": 1, "revenue": None}])
    assert [metric.name for metric in reading.metrics] == ["orders"] and reading.nulls == 1


def test_no_rows():
    """No rows make no metrics, and the reading says so."""
    reading = distilled([])
    assert not reading.metrics and reading.warnings == (
        "the query returned no rows, so there are no metrics",
    )


def test_rows_of_one_metric_twice():
    """Two rows with the same tags are an error that shows both and says GROUP BY."""
    rows = [{"a": "x", "orders": 1, "value": 1}, {"a": "x", "orders": 1, "value": 2.5}]
    assert refusal(rows) == (
        "two rows make the same metric 'core.count' with the tags a=x, orders=1: "
        "row 1 is {a='x', orders=1, value=1}, row 2 is {a='x', orders=1, value=2.5} "
        "(a GROUP BY column is missing from the result, or the rows are not aggregated)"
    )


def test_rows_of_one_metric_far_apart():
    """Of a row that is long gone an error shows what its metric still has."""
    rows = [{"a": str(number % 1200), "value": number} for number in range(1201)]
    rows[17]["value"] = None
    message = refusal(rows, tags={"env": "prod"})
    assert (
        "with the tags a=0, env=prod: an earlier one is {a='0', value=0}, row 1201 is " in message
    )


def test_one_text_of_two_kinds():
    """Rows whose tags have the same text are the same metric, whatever their kinds."""
    assert "GROUP BY" in refusal([{"a": 1, "value": 1}, {"a": "1", "value": 2}])


def test_order_of_columns_makes_no_difference():
    """The same tags in another order of columns are the same metric."""
    assert "GROUP BY" in refusal([{"a": 1, "b": 2, "value": 1}, {"value": 2, "b": 2, "a": 1}])


def test_tags_are_in_the_order_of_their_bytes():
    """Tags are sorted by their UTF-8 bytes, where configured and found ones meet too."""
    (line,) = lines_of(
        distilled([{"z": 1, "\U0001f600": 2, "é": 3, "value": 1}], tags={"\uffff": "4", "Z": "5"})
    )
    assert list(json.loads(line)["tags"]) == ["Z", "z", "é", "\uffff", "\U0001f600"]


@pytest.mark.parametrize("number", [1, 2, 499, 500, 501, 999, 1000, 1001, 1300])
@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("value", "abc", "the column 'value' is the text 'abc', which is no number"),
        ("value", float("nan"), "the column 'value' is nan, which is no number"),
        ("a", b"1", "the column 'a' is bytes, which is no tag"),
        ("a", "\ud800", r"holds text that is no UTF-8: {a='\ud800', value=1}"),
    ],
)
def test_the_row_of_a_mistake(number, column, cell, words):
    """An error names the row, the column and what is in it, wherever the row is."""
    rows = [{"a": index, "value": 1} for index in range(1300)]
    rows[number - 1][column] = cell
    message = refusal(rows)
    assert message.startswith(f"row {number}") and words in message


def test_the_row_of_a_mistake_after_another_shape():
    """Rows are counted across runs of different columns."""
    rows = [{"a": 1, "value": 1}, {"b": 1, "value": 1}, {"b": 2, "value": 1}, {"a": [], "value": 1}]
    assert refusal(rows).startswith("row 4: the column 'a' is an array")


def test_a_missing_value_column():
    """A row without the value's column is an error that says how to name it."""
    assert refusal([{"a": 1, "value": 1}, {"a": 2}]) == (
        "row 2 has no column 'value': {a=2} "
        "(name the number AS value, or set the metric's value to its column)"
    )


def test_a_column_and_a_configured_tag():
    """A column that meets a configured tag is an error, a NULL too, and of one metric alone too."""
    assert "the column 'env' meets a configured tag" in refusal(
        [{"env": None, "value": 1}], tags={"env": "prod"}
    )
    with pytest.raises(RowError, match="the column 'currency' meets a configured tag"):
        many([{"currency": "usd", "orders": 1, "revenue": 1}])


@pytest.mark.parametrize("name", [1, None, b"a", "\ud800"])
def test_column_names_that_are_no_text(name):
    """A column whose name is no text is an error, not a crash."""
    assert "has a name that is no text" in refusal([{name: 1, "value": 1}])


def test_a_long_row_is_cut():
    """An error does not show megabytes."""
    assert len(refusal([{"a": "x" * 10**6, "value": b""}])) < 500


def test_raw_data():
    """Row `max_rows` + 1 stops the read, before anything behind it is fetched."""
    fetched = []

    def rows():
        for number in range(100):
            fetched.append(number)
            yield {"a": number, "value": 1}

    assert refusal(rows(), max_rows=10) == (
        "more than 10 rows: the query returns raw data "
        "(aggregate it with GROUP BY, or raise max_rows)"
    )
    assert len(fetched) == 11
    assert len(distilled(rows(), max_rows=100).metrics) == 100


def test_a_read_is_checked_now_and_then():
    """The check is called between runs of rows, and what it raises ends the distilling."""
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        distilled(({"a": number, "value": 1} for number in range(5000)), check=check)


def test_as_many_tags_as_there_are():
    """A column with more values than are remembered is as right as one with few."""
    rows = [{"a": f"{number:05}", "b": number % 3, "value": number} for number in range(10_600)]
    reading = distilled(rows)
    assert len({metric.uuid for metric in reading.metrics}) == 10_600
    identity = Identity("core.test", "core.count", MOMENT, MOMENT)
    for metric in (reading.metrics[0], reading.metrics[10_599]):
        assert identity.of(metric.tags) == metric.uuid
    assert reading.metrics[10_599].tags == {"a": "10599", "b": "0"}


def test_values_beyond_64_bits():
    """Integers around 64 bits and far beyond, of either sign, reach the wire digit by digit."""
    numbers = [
        sign * (1 << bits) + step
        for bits in (62, 63, 64, 200)
        for step in (-1, 0)
        for sign in (1, -1)
    ]
    reading = distilled([{"a": index, "value": number} for index, number in enumerate(numbers)])
    assert [value for value, _ in shown(reading)] == [str(number) for number in numbers]
