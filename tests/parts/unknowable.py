"""The mistakes that a schema cannot know, each with the reason and a document that shows it."""

# Tables read best with one a line:
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

_HEAD = "name: a\nmetric: {name: m, type: GAUGE}\n"
_SOURCE = "source: {type: shop, config: {uri: db://x, sql: q}}\n"
_TAIL = "schedule: {interval: 30s}\nsinks: {c: {type: console}}\n"
_GOOD = _HEAD + _SOURCE + _TAIL
_EVERYTHING = _HEAD + _TAIL + "source: {type: everything, config: {%s}}\n"

#: Why, by what it takes to know.
ELSEWHERE = "it depends on another document"
TWO_KEYS = "it compares what two keys hold, which a schema cannot"
CODE = "a plugin's own code decides"
LETTERS = "it is in the letters, which are gone once YAML has typed them"
ARITHMETIC = "a pattern cannot calculate"
JSON = "a pattern cannot parse JSON"
PARSER = "what an editor's YAML parser makes of it is its own affair"
MACHINE = "it depends on the machine, or on the file's name"
REFERENCE = "what a reference brings is known when it is there"


@frozen
class Unknowable:
    """A mistake: what is said of it, why no schema knows it, and a document that has it.

    `when` narrows what is said down to documents of some kind. The file is signals.yaml for a
    document that begins with a version.
    """

    message: str
    reason: str
    example: str
    when: Callable[[Any], bool] = lambda _document: True
    file: str = ""


def _uses_shared_source(document):
    return "use" in document["source"]


UNKNOWABLE = [
    Unknowable(r"^.*: schedule: is missing", ELSEWHERE, _GOOD.replace("schedule: {interval: 30s}\n", "")),
    Unknowable(r"^.*: sinks: is missing", ELSEWHERE, _GOOD.replace("sinks: {c: {type: console}}\n", "")),
    Unknowable(r"needs a grain", ELSEWHERE, _GOOD + "window: {}\n"),
    Unknowable(r"there is no shared (source|sink)", ELSEWHERE, _HEAD + _TAIL + "source: {use: x}\n"),
    Unknowable(r"is given by the shared .* already", ELSEWHERE, "version: 1\nsources: {s: {type: shop, config: {uri: x}}}\n---\n" + _HEAD + _TAIL + "source: {use: s, config: {uri: y, sql: q}}\n"),
    Unknowable(r"source\.config\b", ELSEWHERE, "version: 1\nsources: {s: {type: shop, config: {uri: x}}}\n---\n" + _HEAD + _TAIL + "source: {use: s, config: {sql: [q]}}\n", _uses_shared_source),
    Unknowable(r"sources\.\w+\.config\.\w+: is missing", ELSEWHERE, "version: 1\nsources: {s: {type: shop}}\n"),
    Unknowable(r"is the (name|id) of a collector in", ELSEWHERE, f"{_GOOD}---\n{_GOOD}"),
    Unknowable(r"the collector has a (grain|tag '.*') already", TWO_KEYS, _HEAD.replace("GAUGE", "GAUGE, grain: 1h") + _SOURCE + _TAIL + "grain: 1d\n"),
    Unknowable(r"the tag '.*' is configured for the collector already", TWO_KEYS, _HEAD.replace("metric: {name: m, type: GAUGE}", "tags: {t: u}\nmetrics: [{name: m, type: SUM, value: v, tags: {t: u}}]") + _SOURCE + _TAIL),
    Unknowable(r"the metric '.*' is there already with the same tags", TWO_KEYS, _HEAD.replace("metric: {name: m, type: GAUGE}", "metrics: [{name: m, type: SUM, value: v}, {name: m, type: SUM, value: w}]") + _SOURCE + _TAIL),
    Unknowable(r"tags\[\d+\]: the tag '.*' is there already", TWO_KEYS, _GOOD + "tags: [{key: a, value: b}, {key: a, value: c}]\n"),
    Unknowable(r"sinks\.\w+: the sink '.*' is there already", TWO_KEYS, "version: 1\nsinks: {l: {type: console}}\n---\n" + _HEAD + _SOURCE + "schedule: {interval: 1m}\nsinks: {a: {use: l}, b: {use: l}}\n"),
    Unknowable(r"is the same sink as", TWO_KEYS, _GOOD.replace("{c: {type: console}}", "{c: {type: console}, d: {type: console}}")),
    Unknowable(r"the query ", CODE, _GOOD.replace("sql: q", "sql: DROP")),
    Unknowable(r"uri must begin with http://", CODE, _GOOD.replace("{type: console}", "{type: http, config: {uri: x}}")),
    Unknowable(r"an interval of zero never ends", CODE, _GOOD.replace("30s", "0s")),
    Unknowable(r"is no cron expression", CODE, _GOOD.replace("interval: 30s", "cron: x")),
    Unknowable(r"is no name of a ", CODE, _HEAD + _TAIL + "source: {type: documents, config: {uri: x, database: d, collection: $, agg: []}}\n"),
    Unknowable(r"there is a token already", CODE, _GOOD.replace("{type: console}", "{type: http, config: {uri: 'http://x', token: t, username: u}}")),
    Unknowable(r"'(True|TRUE|yes|no)' is not true or false", LETTERS, _EVERYTHING % "flag: True"),
    Unknowable(r"'(1_000|0x1F)' is not a whole number", LETTERS, _EVERYTHING % "number: 0x1F"),
    Unknowable(r"'\.inf' is not a number", LETTERS, _EVERYTHING % "ratio: .inf"),
    Unknowable(r"is not a date or time", ARITHMETIC, _EVERYTHING % "moment: 2026-02-30", lambda document: "2026-02-30" in str(document)),
    Unknowable(r"'9999999999w' is not a duration", ARITHMETIC, _EVERYTHING % "length: 9999999999w"),
    Unknowable(r"'9{59}…' is not a whole number|'1e9+' is not a number", ARITHMETIC, _EVERYTHING % f"number: {'9' * 5000}"),
    Unknowable(r"'~nobody.*' is not a path", MACHINE, _EVERYTHING % "path: ~nobody-of-that-name/x"),
    Unknowable(r"plugins\[\d+\]: .*\.py: ", MACHINE, "version: 1\nplugins: [./no-such-file.py]\n"),
    Unknowable(r"json(\[\d+\])?: is no JSON", JSON, _EVERYTHING % "json: hello"),
    Unknowable(r"'\$\{.*\}' is (not|none)", REFERENCE, _GOOD + "max_rows: ${X:-x}\n"),
    Unknowable(r"the key is there twice", PARSER, _GOOD + "owner: x\nowner: y\n"),
    Unknowable(r"holds itself, through an alias|holds more than|levels deep", PARSER, _GOOD.replace("name: a", "name: a\nstate_store: &a [*a]")),
    Unknowable(r"signals.yaml:1: is a list", MACHINE, "- a\n", file="signals.yaml"),
    Unknowable(r"a collector stands where the project belongs", MACHINE, _GOOD, file="signals.yaml"),
]  # fmt: skip
