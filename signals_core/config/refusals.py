"""Why a plugin's class refuses its configuration, and which field it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from signals_core.errors import reason_of
from signals_core.secret import mask


def refusals(
    cls: type[Any], values: Mapping[str, Any], error: Exception
) -> Iterator[tuple[str, str]]:
    """Yield a key and a message for all that `cls` finds wrong with `values`.

    `error` is what building an instance raised: the first refusal. The other fields' validators
    are asked as well, so that all mistakes are known at once. The key is empty where the class
    does not say which field it means.
    """
    refused = list(_refused_by_validators(cls, values)) or [("", error)]
    for key, each in refused:
        yield placed(key, _text_of(each), {field.alias for field in attrs.fields(cls)})


def placed(key: str, message: str, known: set[str]) -> tuple[str, str]:
    """Return the key that a message begins with, as in `path: is no folder`, and the rest of it."""
    head, colon, rest = message.partition(": ")
    return (head, rest) if colon and head in known else (key, message)


def _refused_by_validators(
    cls: type[Any], values: Mapping[str, Any]
) -> Iterator[tuple[str, Exception]]:
    draft = object.__new__(cls)
    fields = [field for field in attrs.fields(cls) if field.alias in values]
    for field in fields:
        object.__setattr__(draft, field.name, values[field.alias])
    for field in fields:
        if field.validator is None or field.converter is not None:
            continue
        try:
            field.validator(draft, field, values[field.alias])
        except (ValueError, TypeError) as error:
            yield field.alias, error
        except AttributeError:  # it looks at a field that the draft does not have
            continue


def _text_of(error: Exception) -> str:
    """Return one line; of the validators of attrs only the text, not the objects beside it."""
    if len(error.args) > 1 and isinstance(error.args[0], str):
        return " ".join(mask(error.args[0]).split())
    return reason_of(error)
