"""The metric: its identity, its wire form, and batches of it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID, uuid5

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signals_core import Batch, Metric
from signals_core.metric import (
    NAMESPACE,
    Identity,
    Metrics,
    netstring,
    number_text,
    uuid_text,
    version_text,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2025, 12, 31, 23, tzinfo=UTC)
END = datetime(2026, 1, 1, 23, tzinfo=UTC)
VECTOR = UUID("f8640bb5-3e60-58f1-a7a9-8d0105299d0f")

texts = st.text(st.characters(exclude_categories=["Cs"]))
moments = st.datetimes(timezones=st.just(UTC))
integers = st.integers() | st.integers(-(10**40), 10**40)
decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=60).map(tuple),
    st.integers(-80, 80),
)


@st.composite
def metrics(draw):
    """Return metrics as a reading makes them: with a bucket, or without one."""
    timestamp, start, end = draw(moments), draw(moments), draw(moments)
    grain = draw(st.sampled_from([None, "1d", "30s"]))
    return Metric(
        uuid=draw(st.uuids()),
        name=draw(texts),
        value=draw(st.none() | integers | decimals),
        type=draw(st.sampled_from(["COUNT", "SUM", "GAUGE"])),
        tags=draw(st.dictionaries(texts, texts, max_size=4)),
        timestamp=timestamp,
        grain_datetime=timestamp if grain is None else start,
        collector=draw(texts),
        grain=grain,
        timezone=grain and "Europe/Paris",
        window_end=draw(st.sampled_from([None, end])) if grain else None,
    )


def uuid_by_the_book(collector, name, start, end, tags):
    """Return the uuid as the contract defines it, step by step."""

    def microseconds(moment):
        return str((moment - EPOCH) // timedelta(microseconds=1))

    pairs = sorted((key.encode(), text.encode()) for key, text in tags.items())
    parts = [
        each.encode() for each in ("1", collector, name, microseconds(start), microseconds(end))
    ]
    parts += [part for pair in pairs for part in pair]
    return uuid5(NAMESPACE, b"".join(b"%d:%s," % (len(part), part) for part in parts).decode())


def line_by_the_book(metric, value):
    """Return the wire form as the contract shows it, given the text of the value."""

    def moment(at):
        return at.replace(tzinfo=None).isoformat() + "Z"

    version = metric.timestamp.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    members = {
        "uuid": str(metric.uuid),
        "name": metric.name,
        "value": ...,
        "type": metric.type,
        "tags": dict(sorted(metric.tags.items(), key=lambda tag: tag[0].encode())),
        "timestamp": version,
        "grain_datetime": moment(metric.grain_datetime) if metric.grain else version,
        "collector": metric.collector,
        "grain": metric.grain,
        "timezone": metric.timezone,
        "window_end": metric.window_end and moment(metric.window_end),
    }
    written = {
        key: value
        if key == "value"
        else json.dumps(member, ensure_ascii=False, separators=(",", ":"))
        for key, member in members.items()
        if member is not None
    }
    return ("{" + ",".join(f'"{key}":{text}' for key, text in written.items()) + "}").encode()


def digits_of(value):
    """Write a decimal by hand."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    if exponent >= 0:
        text += "0" * exponent if int(text) else ""
    else:
        text = text.rjust(1 - exponent, "0")
        text = f"{text[:exponent]}.{text[exponent:]}"
    return "-" * sign + text


def metric_of(**fields):
    given = {
        "uuid": VECTOR,
        "name": "core.users.signups",
        "value": 3,
        "type": "COUNT",
        "tags": {"env": "prod", "customer": "google"},
        "timestamp": datetime(2026, 1, 1, 23, 1, 0, 120_000, tzinfo=UTC),
        "grain_datetime": START,
        "collector": "core.users.signups.1d",
        "grain": "1d",
        "timezone": "Europe/Paris",
        "window_end": END,
    }
    return Metric(**given | fields)


def test_the_vector():
    """The contract's example: its uuid and its line, byte by byte."""
    identity = Identity("core.users.signups.1d", "core.users.signups", START, END)
    assert identity.of({"env": "prod", "customer": "google"}) == VECTOR
    assert metric_of().encode() == (
        b'{"uuid":"f8640bb5-3e60-58f1-a7a9-8d0105299d0f","name":"core.users.signups","value":3,'
        b'"type":"COUNT","tags":{"customer":"google","env":"prod"},'
        b'"timestamp":"2026-01-01T23:01:00.120000Z","grain_datetime":"2025-12-31T23:00:00Z",'
        b'"collector":"core.users.signups.1d","grain":"1d","timezone":"Europe/Paris",'
        b'"window_end":"2026-01-01T23:00:00Z"}'
    )


@given(texts, texts, moments, moments, st.dictionaries(texts, texts))
@example("", "", EPOCH, EPOCH, {"\U0001f600": "", "\uffff": "", "z": "\0"})
def test_uuid(collector, name, start, end, tags):
    """The uuid is the UUIDv5 of the netstrings of id, name, bounds and sorted tags."""
    wanted = uuid_by_the_book(collector, name, start, end, tags)
    assert Identity(collector, name, start, end).of(tags) == wanted


@given(st.binary())
def test_the_quick_text_of_a_uuid(data):
    """A uuid is written as `UUID` itself writes it."""
    identity = Identity("c", "n", EPOCH, EPOCH)
    assert uuid_text(identity.hash(data)) == str(UUID(identity.hash(data)[:32], version=5))


parts = st.tuples(
    st.sampled_from(["a", "b", "a1:"]),
    st.sampled_from(["m", "m,"]),
    st.sampled_from([EPOCH, START]),
    st.sampled_from([EPOCH, END]),
    st.dictionaries(
        st.sampled_from(["k", "k1:", "é", "e\u0301"]), st.sampled_from(["", "v", "1:v,"])
    ),
)


@given(parts, parts)
def test_the_uuid_is_equal_when_all_parts_are(one, other):
    """Two metrics have one uuid exactly when id, name, bounds and tags are all equal."""
    first, second = (Identity(*each[:4]).of(each[4]) for each in (one, other))
    assert (first == second) == (one == other)


def test_the_zone_of_a_bound_is_no_part_of_the_uuid():
    """Bounds are instants: in another zone they are the same."""
    paris = timezone(timedelta(hours=1))
    one = Identity("c", "m", START, END)
    other = Identity("c", "m", START.astimezone(paris), END.astimezone(paris))
    assert one.of({}) == other.of({})


@given(texts)
def test_netstring(text):
    """A netstring counts bytes, not characters."""
    size, _, rest = netstring(text).partition(b":")
    assert rest == text.encode() + b"," and int(size) == len(text.encode())


@given(metrics())
def test_round_trip(metric):
    """What is encoded is decoded as the same metric, whatever text it holds."""
    assert Metric.decode(metric.encode()) == metric


@given(metrics())
def test_wire_form(metric):
    """The wire form is one line of JSON whose keys are in the contract's order."""
    value = metric.value
    written = digits_of(Decimal(value)) if value is not None else "null"
    assert metric.encode() == line_by_the_book(metric, written)
    assert b"\n" not in metric.encode()


@given(decimals)
@example(Decimal("1E+3"))
@example(Decimal("-0.0"))
@example(Decimal("0E+5"))
@example(Decimal("1E-30"))
@example(Decimal("1E+400"))
def test_decimals_are_written_digit_by_digit(value):
    """A decimal has no exponent on the wire, and loses no digit."""
    assert number_text(value) == digits_of(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e22)
@example(-0.0)
@example(5e-324)
def test_floats_are_written_as_short_as_can_be(value):
    """A float is written so that it is read as the same float, sign and all."""
    line = metric_of(value=value).encode()
    assert repr(json.loads(line)["value"]) == repr(value)
    assert repr(float(Metric.decode(line).value)) == repr(value)


@pytest.mark.parametrize("exponent", [4299, 4300, 100_000])
def test_integers_of_any_size(exponent):
    """An integer of more digits than Python converts by itself is written and read."""
    value = -(10**exponent) - 7
    line = metric_of(value=value).encode()
    assert b'"value":-1' + b"0" * (exponent - 1) + b"7," in line
    assert Metric.decode(line).value == value


def test_the_longest_integer_by_itself():
    """The limit that Python has for such conversions is there, or the test above tests nothing."""
    assert 0 < sys.get_int_max_str_digits() < 100_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("-0", Decimal("-0")),
        ("1.0", Decimal("1.0")),
        ("1.10", Decimal("1.10")),
        ("1e2", Decimal("1E+2")),
        ("0.1", Decimal("0.1")),
        ("null", None),
    ],
)
def test_decoded_values(text, value):
    """A value that is no integer is decoded as a `Decimal` of the same digits."""
    found = Metric.decode(metric_of(value=7).encode().replace(b":7,", f":{text},".encode())).value
    assert (type(found), repr(found)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
    ],
)
def test_what_json_cannot_hold(value):
    """A value that is not finite is refused rather than written as JSON that nobody reads."""
    with pytest.raises(ValueError, match=r"the value of the metric 'core[.]users[.]signups' is"):
        metric_of(value=value).encode()


def test_large_decimals_are_finite():
    """A decimal beyond what a float holds is a number like any other."""
    assert b'"value":1000' in metric_of(value=Decimal("1E+400")).encode()


def test_unknown_keys_are_ignored():
    """A receiver ignores what it does not know: keys may be added."""
    line = metric_of().encode()[:-1] + b',"trace":{"id":[1,2]}}'
    assert Metric.decode(line) == metric_of()


def test_without_a_grain():
    """Without a grain the bucket is the timestamp itself, written like it, and no grain is said."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    bare = {"grain": None, "timezone": None, "window_end": None}
    line = metric_of(timestamp=moment, grain_datetime=moment, **bare).encode()
    assert line.endswith(
        b'"timestamp":"2026-01-01T00:00:00.000000Z","grain_datetime":"2026-01-01T00:00:00.000000Z",'
        b'"collector":"core.users.signups.1d"}'
    )


@given(moments, moments)
def test_text_order_is_version_order(one, other):
    """Versions have always six fractional digits, so that their texts sort as they do."""
    assert (version_text(one) < version_text(other)) == (one < other)
    assert len(version_text(one)) == len("2026-01-01T23:01:00.120000Z")


def test_text_that_is_no_text():
    """A lone surrogate, which UTF-8 cannot hold, is refused."""
    with pytest.raises(UnicodeEncodeError):
        metric_of(tags={"a": "\ud800"}).encode()


batches = st.lists(metrics(), min_size=1, max_size=5)


@given(batches)
def test_batches(found):
    """JSON lines and the JSON array hold the lines of the metrics, whichever way it was built."""
    lines = [metric.encode() for metric in found]
    for batch in (Batch(lines), Batch.of_lines(b"".join(line + b"\n" for line in lines))):
        assert list(batch) == found and len(batch) == len(found)
        assert batch.json_lines() == b"".join(line + b"\n" for line in lines)
        assert batch.json_array() == b"[" + b",".join(lines) + b"]"
        assert batch.encoded == tuple(lines)
        assert b"\n" not in batch.json_array()
        assert batch[-1] == found[-1] and list(batch[1:]) == found[1:]
        assert batch[1:].json_lines() == b"".join(line + b"\n" for line in lines[1:])


def test_a_batch_is_a_sequence():
    """A batch has a length, a repr, and no metric beyond its end."""
    batch = Batch([metric_of().encode()] * 2)
    assert repr(batch) == "<Batch of 2 metrics>" and metric_of() in batch
    assert repr(Metrics([batch])) == "<2 metrics>"
    with pytest.raises(IndexError):
        batch[2]


@given(st.lists(batches, max_size=3))
def test_the_metrics_of_a_reading(found):
    """The metrics of a reading are those of its batches, one after the other."""
    all_metrics = Metrics(Batch(metric.encode() for metric in each) for each in found)
    flat = [metric for each in found for metric in each]
    assert list(all_metrics) == flat and len(all_metrics) == len(flat)
    assert [all_metrics[index] for index in range(len(flat))] == flat
    assert list(all_metrics[1:]) == flat[1:]
    assert bool(all_metrics) == bool(flat)
