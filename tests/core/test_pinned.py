"""The one text of every value and every tag, and what can be neither."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, localcontext
from enum import Enum, IntEnum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core.pinned import Unfit, tag_text, value_text


class Text(str):
    """Text of a class of its own, which shows itself in another way."""

    __slots__ = ()

    def __str__(self):
        return "something else"

    __repr__ = __format__ = __str__


class Whole(int):
    """A number of a class of its own, which shows itself in another way."""

    def __str__(self):
        return "something else"

    __repr__ = __str__

    def __format__(self, form):
        return "something else"


class Colour(StrEnum):
    RED = "red"
    FIVE = "5"


class Old(str, Enum):  # noqa: UP042 - the older way, which shows itself differently
    FIVE = "5"


class Level(IntEnum):
    HIGH = 7


class Plain(Enum):
    ONE = 1


class Nowhere(tzinfo):
    def utcoffset(self, moment):
        return None


def kind_of(value):
    """Name a parameter by its type: some are too long to be shown."""
    return type(value).__name__


PARIS = timezone(timedelta(hours=1))
HALF = timezone(timedelta(hours=5, minutes=45))
SECONDS = timezone(timedelta(minutes=9, seconds=21))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (10**30, "1" + "0" * 30),
        (10**5000, "1" + "0" * 5000),
        (Whole(10**400), "1" + "0" * 400),
        (Whole(5), "5"),
        (Level.HIGH, "7"),
        (0.5, "0.5"),
        (-0.0, "-0.0"),
        (1e22, "1e+22"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E+400"), "1" + "0" * 400),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0.00"), "-0.00"),
        ("12", "12"),
        ("-0", "-0"),
        ("1.50", "1.50"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("1e3", "1000"),
        ("1E+03", "1000"),
        ("1.5e-3", "0.0015"),
        ("1e0000000000000000000000000002", "100"),
        ("9" * 5000, "9" * 5000),
        (Text("5"), "5"),
        (Colour.FIVE, "5"),
        (Old.FIVE, "5"),
    ],
    ids=kind_of,
)
def test_values(value, text):
    """A value is written digit by digit, whatever class brings it."""
    found = value_text(value, "value")
    assert found == text and type(found) is str and f"{found}" == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, "a boolean"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("Infinity"), "Infinity"),
        ("", "the text ''"),
        ("abc", "the text 'abc'"),
        ("1 ", "the text '1 '"),
        ("1\n", r"the text '1\n'"),
        ("+1", "the text '+1'"),
        ("01", "the text '01'"),
        ("-01", "the text '-01'"),
        (".5", "the text '.5'"),
        ("5.", "the text '5.'"),
        ("1e", "the text '1e'"),
        ("1_000", "the text '1_000'"),
        ("1,5", "the text '1,5'"),
        ("0x10", "the text '0x10'"),
        ("NaN", "the text 'NaN'"),
        ("Infinity", "the text 'Infinity'"),
        ("true", "the text 'true'"),
        ("\u0661", "the text '\u0661'"),
        ("1e10000", "the text '1e10000'"),
        ("1e" + "9" * 5000, "the text '1e" + "9" * 58 + "…'"),
        (Colour.RED, "the text 'red'"),
        (b"5", "bytes"),
        (bytearray(b"5"), "bytes"),
        (memoryview(b"5"), "bytes"),
        ([1], "an array"),
        ((1,), "an array"),
        ({"a": 1}, "a document"),
        (OrderedDict(), "a document"),
        (date(2026, 1, 1), "a date"),
        (datetime(2026, 1, 1), "a datetime"),
        (time(1), "a time"),
        (timedelta(1), "a timedelta"),
        (1j, "a complex"),
        (Plain.ONE, "a Plain"),
    ],
    ids=kind_of,
)
def test_no_values(value, found):
    """What is no number is refused with its column, what it is, and a remedy."""
    with pytest.raises(Unfit) as caught:
        value_text(value, "total")
    assert str(caught.value) == f"the column 'total' is {found}, which is no number"
    assert caught.value.remedy == "cast it in the query"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("", ""),
        ('AT&T <"x">\n\0', 'AT&T <"x">\n\0'),
        (Text("x"), "x"),
        (Colour.RED, "red"),
        (Old.FIVE, "5"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (10**400, "1" + "0" * 400),
        (10**5000, "1" + "0" * 5000),
        (Whole(10**400), "1" + "0" * 400),
        (Level.HIGH, "7"),
        (0.5, "0.5"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e16, "1e+16"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-10"), "0.0000000001"),
        (Decimal("1E+400"), "1" + "0" * 400),
        (date(2024, 2, 29), "2024-02-29"),
        (date(1, 1, 1), "0001-01-01"),
        (datetime(2024, 1, 1, 1, 0, 0, 120_000), "2024-01-01T01:00:00.120000"),
        (datetime(2024, 1, 1), "2024-01-01T00:00:00"),
        (datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00Z"),
        (datetime(2024, 1, 1, tzinfo=PARIS), "2023-12-31T23:00:00Z"),
        (datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=HALF), "2023-12-31T18:15:00.000001Z"),
        (datetime(1900, 1, 1, tzinfo=SECONDS), "1899-12-31T23:50:39Z"),
        (datetime(2024, 1, 1, tzinfo=Nowhere()), "2024-01-01T00:00:00"),
        (UUID("F8640BB5-3E60-58F1-A7A9-8D0105299D0F"), "f8640bb5-3e60-58f1-a7a9-8d0105299d0f"),
    ],
    ids=kind_of,
)
def test_tags(cell, text):
    """Each kind of tag has one pinned text, whatever class brings it."""
    found = tag_text(cell, "a")
    assert found == text and type(found) is str


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (b"\0\xff", "bytes"),
        (memoryview(b"5"), "bytes"),
        ([1], "an array"),
        (("a",), "an array"),
        ({"a": 1}, "a document"),
        (time(1), "a time"),
        (timedelta(1), "a timedelta"),
        ({1}, "a set"),
        (Plain.ONE, "a Plain"),
        (
            datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5))),
            "the time 9999-12-31 23:00:00-05:00",
        ),
    ],
    ids=kind_of,
)
def test_no_tags(cell, found):
    """What has no pinned text is no tag."""
    with pytest.raises(Unfit, match=re.escape(f"the column 'a' is {found}, which is no tag")):
        tag_text(cell, "a")


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(1, 5))
def test_precision_of_the_caller_changes_nothing(value, precision):
    """An application that computes decimals with few digits gets all digits on the wire."""
    with localcontext() as context:
        context.prec = precision
        assert Decimal(value_text(value, "value")).compare_total(value) == 0 or "E+" in str(value)
    assert Decimal(value_text(value, "value")) == value


numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@given(numbers)
def test_text_in_the_grammar_of_json(text):
    """Text that JSON reads as a number is that number, without exponent and without rounding."""
    found = value_text(text, "value")
    assert "e" not in found.lower() and Decimal(found) == Decimal(text)
    json.loads(found)


@given(st.text("0123456789+-.eE _", max_size=8))
def test_text_that_json_does_not_read(text):
    """Text is a number exactly when it is one in the grammar of JSON."""
    try:
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} was made"))
        reads = text.strip() == text
    except ValueError:
        reads = False
    try:
        value_text(text, "value")
        fits = True
    except Unfit:
        fits = re.search("[eE].{4}", text) is not None and reads
    assert fits == reads


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats(value):
    """A float is written so that it is read as the same one, as a value and as a tag."""
    assert repr(float(value_text(value, "value"))) == repr(value)
    assert tag_text(value, "a") == value_text(value, "a")
