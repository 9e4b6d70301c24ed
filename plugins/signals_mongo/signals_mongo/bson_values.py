"""Between BSON and Python: extended JSON and the window's bounds in, result rows out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bson import CodecOptions, Decimal128, Int64, ObjectId
from bson.binary import UuidRepresentation
from bson.codec_options import TypeDecoder, TypeRegistry
from bson.errors import BSONError
from bson.json_util import JSONOptions, object_hook

from signals_core import Row, Window

_EXTENDED_JSON = JSONOptions(
    tz_aware=True, tzinfo=UTC, uuid_representation=UuidRepresentation.STANDARD
)


def from_extended_json(tree: Any, place: str = "agg") -> Any:
    """Return `tree` with its extended JSON (`{"$date": …}`, `{"$oid": …}`) as BSON values.

    Raises `ValueError` where it is malformed.
    """
    if isinstance(tree, Mapping):
        document = {key: from_extended_json(tree[key], f"{place}.{key}") for key in tree}
        try:
            return object_hook(document, _EXTENDED_JSON)
        except (BSONError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise ValueError(f"{place} is no extended JSON: {error}") from error
    if isinstance(tree, (list, tuple)):
        return [from_extended_json(item, f"{place}[{i}]") for i, item in enumerate(tree)]
    return tree


def bounds_of(window: Window, names: set[str]) -> dict[str, Any]:
    """Return the values that stand for `names`, without rounding any.

    The local bounds are written as if their wall clock were UTC, as applications do that keep
    local time in a date. Raises `ValueError` for a bound that BSON cannot hold exactly.
    """
    return {name: _bound(name, window.parameters) for name in names}


def _bound(name: str, bounds: Mapping[str, datetime]) -> datetime | ObjectId:
    if not name.endswith("_oid"):
        moment = bounds[name]
        if moment.microsecond % 1000:
            raise ValueError(
                f":{name} is {moment}, and a date holds whole milliseconds only "
                "(choose a grain of whole milliseconds)"
            )
        return moment
    moment = bounds[name.removesuffix("_oid")]
    if moment.microsecond:
        raise ValueError(
            f":{name} is {moment}, and an ObjectId holds whole seconds only "
            "(choose a grain of whole seconds, or compare a date)"
        )
    try:
        return ObjectId.from_datetime(moment)
    except Exception as error:  # struct.error, which bson lets through
        raise ValueError(
            f":{name} is {moment}, and an ObjectId holds the years 1970 to 2106 only"
        ) from error


class _Decimal(TypeDecoder):
    bson_type = Decimal128

    def transform_bson(self, value: Decimal128) -> Any:
        return value.to_decimal()


class _Text(TypeDecoder):
    bson_type = ObjectId

    def transform_bson(self, value: ObjectId) -> Any:
        return str(value)


class _Int(TypeDecoder):
    bson_type = Int64

    def transform_bson(self, value: Int64) -> Any:
        return int(value)


ROWS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    uuid_representation=UuidRepresentation.STANDARD,
    type_registry=TypeRegistry([_Decimal(), _Text(), _Int()]),
)
"""How result documents are decoded: exact decimals, aware UTC, ObjectIds as their hex text."""


def flat(document: dict[str, Any]) -> Row:
    """Return a document whose `_id` is a document too with the fields of that as columns.

    Where they are no scalars it stays as it is. Raises `ValueError` where such a field meets a
    column of the same name.
    """
    key = document["_id"]
    if any(isinstance(value, (dict, list)) for value in key.values()):
        return document
    rest = {name: value for name, value in document.items() if name != "_id"}
    if clash := sorted(key.keys() & rest.keys()):
        raise ValueError(
            f"the field {clash[0]!r} of the group key meets a column of the same name "
            "(give one of the two another name)"
        )
    return {**key, **rest}
