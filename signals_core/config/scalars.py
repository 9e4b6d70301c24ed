"""Text to numbers and truth values, with nothing of YAML's or Python's kindness."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import NoReturn

INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def integer(text: str) -> int:
    """Read digits. Raises `ValueError` for anything else."""
    return int(text) if INTEGER.fullmatch(text) else _refused(text)


def floating(text: str) -> float:
    """Read a finite number. Raises `ValueError`."""
    number = float(text) if NUMBER.fullmatch(text) else _refused(text)
    return number if isfinite(number) else _refused(text)


def decimal(text: str) -> Decimal:
    """Read a number, digit by digit. Raises `ValueError`, or `ArithmeticError` for a huge one."""
    return Decimal(text) if NUMBER.fullmatch(text) else _refused(text)


def boolean(text: str) -> bool:
    """Read true or false. Raises `ValueError`."""
    return text == "true" if text in ("true", "false") else _refused(text)


def _refused(text: str) -> NoReturn:
    raise ValueError(text)
