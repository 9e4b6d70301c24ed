"""JSON as configuration holds it: strict, without duplicate keys, of a depth one can walk."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn

_PLAIN = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DEEPEST = 100


def parse(text: str) -> Any:
    """Parse JSON text. Raises `ValueError`."""
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError:
        raise _too_deep() from None
    _check_depth(tree)
    return tree


def plain(text: str) -> Any:
    """Return what a scalar without quotes means: a number, true, false, null, else its text."""
    return parse(text) if _PLAIN.fullmatch(text) else text


def with_strings(tree: Any, change: Callable[[str], str]) -> Any:
    """Return the tree with every string, keys included, changed."""
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, list):
        return [with_strings(item, change) for item in tree]
    if isinstance(tree, dict):
        return {change(key): with_strings(item, change) for key, item in tree.items()}
    return tree


def _check_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(_DEEPEST):
        level = [
            item
            for each in level
            if isinstance(each, (list, dict))
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise _too_deep()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice in one object")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"a number of {len(text)} digits is too large") from None


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {_DEEPEST} levels deep")
