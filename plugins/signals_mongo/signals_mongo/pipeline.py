"""What a pipeline may hold, offline: only stages that read, and the names of the window.

Nothing here needs a driver, so that a mistake is found before anything is imported or connected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

PARAMETERS = {
    "window_start": "window_start",
    "window_end": "window_end",
    "window_start_local": "window_start_local",
    "window_end_local": "window_end_local",
    "window_start_oid": "window_start",
    "window_end_oid": "window_end",
}
"""The names that a pipeline may use, and the bound of the window that each stands for."""

# A list of what is allowed, because a server learns stages faster than a list of refusals grows.
READS = frozenset(
    """$addFields $bucket $bucketAuto $count $densify $documents $facet $fill $geoNear $graphLookup
    $group $limit $lookup $match $project $redact $replaceRoot $replaceWith $sample $search
    $searchMeta $set $setWindowFields $skip $sort $sortByCount $unionWith $unset $unwind
    $vectorSearch""".split()
)
WRITES = frozenset({"$out", "$merge"})
JAVASCRIPT = frozenset({"$function", "$accumulator", "$where"})

_WRAPPERS = {"$date": "a date", "$oid": "an ObjectId"}
_INT64 = range(-(2**63), 2**63)


def stages_of(agg: Any, *, allow_javascript: bool = False) -> list[dict[str, Any]]:
    """Return `agg`, a list of stages or its JSON text, as a list of stages that only read.

    Raises `ValueError` for what is no pipeline, for anything that writes or looks at more than
    documents, for JavaScript that is not allowed, and for an unknown `:window…`.
    """
    tree = _from_json(agg) if isinstance(agg, str) else agg
    for place, key, node in _nodes(tree, "agg"):
        _refuse_key(place, key, WRITES if allow_javascript else WRITES | JAVASCRIPT)
        _refuse_value(place, key, node)
    _refuse_stages(tree, "agg")
    return list(tree)


def bounds_in(stages: list[dict[str, Any]]) -> set[str]:
    """Return the bounds of the window that the stages use, by the core's names."""
    return {PARAMETERS[name] for name in names_in(stages)}


def names_in(stages: list[dict[str, Any]]) -> set[str]:
    """Return the parameters that the stages use, by the names they are written with."""
    return {name for _, _, node in _nodes(stages, "agg") if (name := parameter_in(node))}


def parameter_in(node: Any) -> str | None:
    """Return the name if `node` is one: a string that is `:window…` as a whole.

    Raises `ValueError` for a name that does not exist.
    """
    if not isinstance(node, str) or not node.startswith(":window"):
        return None
    if node[1:] in PARAMETERS:
        return node[1:]
    nearest = get_close_matches(node[1:], PARAMETERS, n=3, cutoff=0.0)
    raise ValueError(
        f"{node!r} is no bound of the window (nearest: " + ", ".join(f":{n}" for n in nearest) + ")"
    )


def bind(tree: Any, values: Mapping[str, Any]) -> Any:
    """Return `tree` with each string that is a parameter as a whole replaced by its value.

    Keys, and strings that merely hold a parameter, stay what they are.
    """
    if isinstance(tree, Mapping):
        return {key: bind(value, values) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [bind(item, values) for item in tree]
    name = parameter_in(tree)
    return tree if name is None else values[name]


def columns_of(stages: list[dict[str, Any]]) -> list[str] | None:
    """Return the columns of the result where the last stages tell them, else None."""
    for stage in reversed(stages):
        ((name, content),) = stage.items()
        if name == "$group":
            return [*_key_columns(content["_id"]), *(key for key in content if key != "_id")]
        if name == "$project" and content.get("_id", 1) in (0, False):
            rest = {key: value for key, value in content.items() if key != "_id"}
            excludes = all(value in (0, False) for value in rest.values())
            return None if excludes or any("." in key for key in rest) else list(rest)
        if name == "$count":
            return [content]
        if name not in ("$sort", "$limit", "$skip", "$match"):
            return None
    return None


def _key_columns(key: Any) -> list[str]:
    if isinstance(key, Mapping) and key and not any(name.startswith("$") for name in key):
        return list(key)
    return ["_id"]


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"agg is no JSON: {error}") from None


def _nodes(tree: Any, place: str, key: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield every node with its place and the key it stands under."""
    yield place, key, tree
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _nodes(value, f"{place}.{name}", str(name))
    elif isinstance(tree, (list, tuple)):
        for index, item in enumerate(tree):
            yield from _nodes(item, f"{place}[{index}]")


def _refuse_key(place: str, key: str, refused: frozenset[str]) -> None:
    if key in WRITES:
        raise ValueError(f"{place} writes, and a source only reads (take it out)")
    if key in refused & JAVASCRIPT:
        raise ValueError(
            f"{place} runs JavaScript in the server "
            "(write it with operators, or set allow_javascript: true)"
        )
    if key.startswith("$_internal"):
        raise ValueError(f"{place} is internal to the server (take it out)")


def _refuse_value(place: str, key: str, node: Any) -> None:
    if type(node) is int and node not in _INT64:
        raise ValueError(f"{place} is {node}, more than 64 bits hold (use $numberDecimal)")
    try:
        name = parameter_in(node)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if name and key in _WRAPPERS:
        raise ValueError(
            f"{place} wraps a bound, which becomes {_WRAPPERS[key]} by itself "
            f'(write "{node}" alone, in place of the document around it)'
        )


def _refuse_stages(pipeline: Any, place: str) -> None:
    if not isinstance(pipeline, (list, tuple)) or not pipeline:
        raise ValueError(f"{place} must be a list of stages, as in [{{$match: …}}, {{$group: …}}]")
    for index, stage in enumerate(pipeline):
        _refuse_stage(stage, f"{place}[{index}]")


def _refuse_stage(stage: Any, place: str) -> None:
    if not isinstance(stage, Mapping) or len(stage) != 1:
        raise ValueError(f"{place} must be a document of one key, the stage, as in {{$match: …}}")
    ((name, content),) = stage.items()
    if name not in READS:
        nearest = get_close_matches(str(name), READS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "take it out"
        raise ValueError(f"{place}: {name} is no stage that reads documents ({hint})")
    for inner, where in _pipelines_in(name, content, f"{place}.{name}"):
        _refuse_stages(inner, where)


def _pipelines_in(name: str, content: Any, place: str) -> Iterator[tuple[Any, str]]:
    if not isinstance(content, Mapping):
        return
    if name == "$facet":
        for key, inner in content.items():
            yield inner, f"{place}.{key}"
    elif name in ("$lookup", "$unionWith") and content.get("pipeline"):
        yield content["pipeline"], f"{place}.pipeline"
