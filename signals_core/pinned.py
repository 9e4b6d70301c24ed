"""The one pinned text of every value and every tag, and what can be neither."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from signals_core.metric import is_finite, number_text
from signals_core.window import iso

# Text is no way around what a database's numeric type can hold: its exponent has four digits.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?P<exponent>[eE][+-]?0*[0-9]{1,4})?")

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (list, "an array"),
    (tuple, "an array"),
    (Mapping, "a document"),
)


class Unfit(ValueError):
    """A cell that cannot be what its column has to be; `remedy` says what to do in the query."""

    def __init__(self, column: str, found: str, wanted: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(f"the column {column!r} is {found}, which is no {wanted}")


def value_text(value: Any, column: str) -> str:
    """Return a number as JSON text, digit by digit. Raises `Unfit` for what is no number."""
    if value.__class__ is int:
        return number_text(value)
    if isinstance(value, str):
        if text := _number_in(value):
            return text
        found = f"the text {_cut(str.__str__(value))!r}"
    elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        found = _kind_of(value)
    elif is_finite(value):
        return number_text(value)
    else:
        found = str(value)
    raise Unfit(column, found, "number", "cast it in the query")


def tag_text(value: Any, column: str) -> str:
    """Return the text of a tag. Raises `Unfit` for what is none."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return number_text(value) if is_finite(value) else str(value)
    if isinstance(value, datetime):
        return _time_text(value, column)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise Unfit(column, _kind_of(value), "tag", "cast it to text, or take it out of the result")


def _time_text(moment: datetime, column: str) -> str:
    if moment.utcoffset() is None:
        return moment.replace(tzinfo=None).isoformat()
    try:
        return iso(moment)
    except OverflowError:
        remedy = "in UTC it leaves the calendar: cast it to text"
        raise Unfit(column, f"the time {moment}", "tag", remedy) from None


def _number_in(text: str) -> str | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    return match[0] if match["exponent"] is None else format(Decimal(match[0]), "f")


def _kind_of(value: Any) -> str:
    found = (name for kind, name in _KINDS if isinstance(value, kind))
    return next(found, f"a {type(value).__name__}")


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
