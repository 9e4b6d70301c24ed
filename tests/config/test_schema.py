"""An editor that knows our JSON Schema takes what we take, and refuses what it can know is wrong.

What it refuses is compared at each `folder.load` of the tests in this folder (see conftest); the
rest is here.
"""

from __future__ import annotations

import json
import re
import textwrap
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args, get_origin

import attrs
import pytest
from attrs import define, field, validators
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from parts.configured import Everything, Read, Shop, a_registry
from parts.editor import VERSIONS, compare, documents_of, mistakes_in, validator_of
from parts.mangled import CHANGES, MANGLED, changed
from parts.unknowable import UNKNOWABLE
from signals_core import Json, Secret
from signals_core.config import load, patterns
from signals_core.config.dialect import with_references
from signals_core.config.document import COLLECTOR_KEYS
from signals_core.config.field_schema import as_written
from signals_core.config.nodes import Keys, Mark, Scalar
from signals_core.config.project import PROJECT_KEYS
from signals_core.config.schema import schema_of
from signals_core.duration import parse_duration
from signals_core.fields import fields_of, optional_of
from signals_core.references import Unresolved, expand
from signals_core.registry import PluginType, Registry
from signals_core.window import Grain

REGISTRY = a_registry()
INSTALLED = Registry.discover()
ROOT = Path(__file__).parents[2]
MARK = Mark("f.yaml", Path("/"), 1)


def test_it_is_a_schema():
    """What is printed is valid by its own meta-schema, for our types and for those of the tests."""
    for registry in (REGISTRY, INSTALLED):
        Draft7Validator.check_schema(json.loads(json.dumps(schema_of(registry))))


@pytest.mark.parametrize("registry", [REGISTRY, INSTALLED, Registry()])
def test_no_list_of_values_is_empty(registry):
    """There is no empty list of values, which a strict reader of schemas refuses."""
    assert '"enum": []' not in json.dumps(schema_of(registry))


def test_no_reference_leads_nowhere():
    """Every definition that is referred to is there, and every one that is there is referred to."""
    text = json.dumps(schema_of(REGISTRY))
    named = set(re.findall(r'"#/definitions/([^"]+)"', text))
    assert named == schema_of(REGISTRY)["definitions"].keys()


def test_the_keys_are_those_that_are_read():
    """Collectors and projects have in the schema the keys that their readers know, and old ones."""
    definitions = schema_of(REGISTRY)["definitions"]
    old = {"collector", "state_store"}
    assert definitions["collector"]["properties"].keys() == {*COLLECTOR_KEYS} | old
    assert definitions["project"]["properties"].keys() == PROJECT_KEYS.keys()
    assert all(definitions["project"]["properties"].values())


@pytest.mark.parametrize("each", UNKNOWABLE, ids=lambda each: each.message)
def test_what_is_listed_as_unknowable(tmp_path, monkeypatch, each):
    """Each mistake that is listed as unknowable is one, and to an editor it is none."""
    monkeypatch.chdir(tmp_path)
    is_project = each.example.startswith("version:")
    path = tmp_path / (each.file or ("signals.yaml" if is_project else "c.yaml"))
    path.write_text(each.example)
    problems = [str(problem) for problem in load([Path()], registry=REGISTRY).problems]
    assert any(re.search(each.message, problem) for problem in problems), problems
    assert any(
        not mistakes_in(content, validator_of(REGISTRY))
        for version in VERSIONS
        for _, content in documents_of(path, version)
    )


def is_ours(path):
    """Whether an example is for us: others are for Vector, Kubernetes, Prometheus or compose."""
    text = path.read_text()
    is_collector = re.search(r"^metrics?:", text, re.MULTILINE)
    return path.name == "signals.yaml" or bool(is_collector)


EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*.y*ml")) if is_ours(path)]


def blocks():
    """Return the whole documents of the examples and of the guide."""
    found = [pytest.param(path.read_text(), id=str(path.relative_to(ROOT))) for path in EXAMPLES]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        texts = re.findall(
            r"^ *```yaml[^\n]*\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL
        )
        found += [
            pytest.param(textwrap.dedent(text), id=f"{path.relative_to(ROOT)}-{number}")
            for number, text in enumerate(texts)
            if re.search(r"^ *(name|version):", text, re.MULTILINE)
        ]
    return found


@pytest.mark.parametrize("text", blocks())
def test_examples(tmp_path, text):
    """Of every example in the repository and in the guide, reader and schema think the same."""
    is_project = bool(re.search(r"^version:", text, re.MULTILINE))
    path = tmp_path / ("signals.yaml" if is_project else "f.yaml")
    path.write_text(text)
    compare([path], load([path], registry=INSTALLED), INSTALLED)


def test_the_examples_are_right():
    """By the schema the examples are right, down to the last."""
    assert EXAMPLES
    for path in EXAMPLES:
        for version in VERSIONS:
            for _, content in documents_of(path, version):
                assert not mistakes_in(content, validator_of(INSTALLED)), path


WORDS = "1.10 NO 010 1:30 2026-01-01 true 1e3 .inf ~/x 0x1F a.b 1_000 = y".split()


def written(texts):
    """Return YAML of some texts: quoted, plain where that is the same, or behind a reference."""
    quoted = texts.map(lambda text: json.dumps(text, ensure_ascii=False))
    plain = texts.filter(lambda text: re.fullmatch(r"[\w.+~/-][\w.:+~/-]*", text, re.ASCII))
    behind = texts.filter(lambda text: not set(text) & set("}\\$")).map(
        lambda text: json.dumps(f"${{NO_SUCH_VARIABLE:-{text}}}", ensure_ascii=False)
    )
    return st.one_of(quoted, plain.filter(lambda text: text.lower() not in ("~", "null")), behind)


NUMBERS = ["0", "-3", "+5", "007", "12345678901234567890"]
PRINTABLE = st.characters(exclude_categories=["C"], exclude_characters="$")
TEXTS = {
    str: st.sampled_from(WORDS) | st.text(PRINTABLE, max_size=5),
    Secret: st.sampled_from([*WORDS, "", "p:w{d"]),
    int: st.sampled_from(NUMBERS),
    float: st.sampled_from([*NUMBERS, "1.5", "-.5", "1.", "1e3", "+1.10"]),
    Decimal: st.sampled_from([*NUMBERS, "1.10", "-.5", "1e-3"]),
    bool: st.sampled_from(["true", "false"]),
    Path: st.sampled_from(["a/b", "/a", "7", "NO", "a b"]),
    timedelta: st.sampled_from(["0", "30s", "1h30m", "1.5h", "1w2d3h4m5s6ms", "0s"]),
    datetime: st.one_of(
        st.datetimes().map(str),
        st.dates().map(str),
        st.sampled_from(["20260101", "2026-01-01T06:00Z"]),
    ),
}  # fmt: skip


def yaml_of(kind):
    """Return YAML, inside of {} or [], that a field of the type `kind` takes."""
    if (inner := optional_of(kind)) is not None:
        return st.one_of(st.just("~"), yaml_of(inner))
    if kind in TEXTS:
        return written(TEXTS[kind])
    if kind == Json:
        leaves = st.integers() | st.text("ab1", max_size=2) | st.none()
        trees = st.lists(st.recursive(leaves, st.lists, max_leaves=4))
        return st.one_of(trees.map(json.dumps), trees.map(json.dumps).map(json.dumps))
    if get_origin(kind) is list:
        return st.lists(yaml_of(get_args(kind)[0]), max_size=2).map(
            lambda all_: f"[{', '.join(all_)}]"
        )
    if get_origin(kind) is dict:
        values = st.dictionaries(st.sampled_from(WORDS), yaml_of(get_args(kind)[1]), max_size=2)
        return values.map(flow)
    if attrs.has(kind):
        return mapping_of(kind)
    options = get_args(kind) or [each.value for each in kind]
    return written(st.sampled_from([str(each) for each in options]))


def mapping_of(cls):
    """Return YAML of a mapping that `cls` is built from: any of its fields, all that it needs."""
    fields = fields_of(cls).values()
    needed = {each.key: yaml_of(each.type) for each in fields if each.required}
    others = {each.key: yaml_of(each.type) for each in fields if not each.required}
    return st.fixed_dictionaries(needed, optional=others).map(flow)


def flow(values):
    return f"{{{', '.join(f'{key}: {value}' for key, value in values.items())}}}"


COLLECTOR = """\
name: a
metric: {name: m, type: GAUGE}
schedule: {interval: 30s}
source: {type: everything, config: %s}
sinks: {c: {type: console}}
%s
"""
MORE = st.fixed_dictionaries(
    {},
    optional={
        "id": written(st.sampled_from(["b", "1.10", "NO"])),
        "grain": written(st.sampled_from(["30s", "1h", "1.5h", "1d", "1mo", "48h"])),
        "timezone": written(st.sampled_from(["UTC", "Europe/Paris", "EST"])),
        "tags": yaml_of(dict[str, str]),
        "timeout": written(st.sampled_from(["30s", "1.5h", "1d"])),
        "max_rows": written(st.sampled_from(["1", "007", "+5"])),
        "owner": yaml_of(str | None),
        "description": yaml_of(str | None),
    },
).map(lambda keys: "\n".join(f"{key}: {value}" for key, value in keys.items()))


def both_take(path):
    loaded = load([path], registry=REGISTRY)
    assert not loaded.problems
    compare([path], loaded, REGISTRY)


@given(mapping_of(Everything), MORE)
def test_what_is_right_is_right_for_both(tmp_path_factory, config, more):
    """Configuration made of the fields of a type is taken by the reader and by the schema."""
    path = tmp_path_factory.mktemp("right") / "f.yaml"
    path.write_text(COLLECTOR % (config, more), encoding="utf-8")
    both_take(path)


@given(st.sampled_from(MANGLED), CHANGES)
def test_the_schema_is_never_the_stricter_one(tmp_path_factory, document, changes):
    """However a document is changed, the schema refuses none that the reader takes."""
    path = tmp_path_factory.mktemp("changed") / "f.yaml"
    path.write_bytes(changed(document, changes).encode("utf-8", "surrogatepass"))
    loaded = load([path], registry=REGISTRY)
    if not [each for each in loaded.problems if not each.warning]:
        compare([path], loaded, REGISTRY)


def agrees(pattern, text, takes):
    """Whether a pattern says of a text what a parser does, which is handed over as a call."""
    try:
        takes(text)
    except (ValueError, ArithmeticError):
        return not re.search(pattern, text)
    return bool(re.search(pattern, text))


@given(st.text("01.5hmsdwq y", max_size=6))
@example("0")
@example("00")
@example("0s")
@example("48h")
def test_patterns_of_durations_and_grains(text):
    """The patterns match what the parsers read, but for what is finer than a microsecond."""
    for pattern, parse in [(patterns.DURATION, parse_duration), (patterns.GRAIN, Grain.parse)]:
        assert agrees(pattern, text, parse) or fails_with(parse, text, "finer than a microsecond")


def fails_with(parse, text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)
    return True


@given(st.text("2016-W:T+Z.0 ", max_size=12) | st.datetimes(timezones=st.timezones()).map(str))
def test_the_pattern_of_moments(text):
    """Every moment that is read matches the pattern; what it lets pass has days that are none."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return
    assert re.search(patterns.MOMENT, text)


PIECES = ["$", "{", "}", "$${", "${A}", "${", ":-", "A", "\\", "${file:/dev/null}"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_the_pattern_of_references(text):
    """The pattern takes the texts in which all references are well-formed, and no other."""

    def takes(text):
        with suppress(Unresolved):
            expand(text, {"A": "a"})

    assert agrees(patterns.TEXT, text, takes)


CALLS = """{{ getEnv "X" }}
{{getEnv `X`}}
{{- getEnvOrDefault "A" "b" -}}
{{ getEnv
 }}
{{ getEnv "X" | upper }}
{{ other }}
{{
"
a""".split("\n")


@given(st.lists(st.sampled_from(CALLS), max_size=4).map("".join))
def test_the_pattern_of_template_calls(text):
    """The pattern finds the calls that are not known, and takes those that are."""
    problems = []
    with_references(Keys({"a": Scalar(text, MARK)}, MARK), problems.append)
    assert bool(re.search(patterns.UNKNOWN_CALL, text)) == bool(problems)


@pytest.fixture(scope="module")
def everything():
    return schema_of(REGISTRY)["definitions"]["source:everything"]


def test_a_field_of_every_type_has_its_default_and_its_limits(everything):
    """A third party's plugin is shown with the types, the defaults and the limits of its fields."""
    properties = everything["properties"]
    assert properties.keys() == {*fields_of(Everything)} | {"time"}
    shown = {key: each["default"] for key, each in properties.items() if "default" in each}
    assert shown == {
        "text": "", "number": 0, "ratio": 0.0, "amount": "0", "flag": False, "path": "/nowhere",
        "length": "0s", "choice": "a", "colour": "red", "size": "s", "level": 1, "texts": [],
        "lengths": [], "by_name": {}, "maybe": 7, "part": {"name": "none", "count": 1},
        "parts": [], "max_connections": 1,
    }  # fmt: skip
    assert properties["colour"]["anyOf"][0] == {"enum": ["red", "blue"]}
    assert properties["level"]["anyOf"][0] == {"enum": ["1", 1, "2", 2]}
    assert properties["parts"]["anyOf"][0]["items"]["required"] == ["name"]


def test_a_field_is_described_by_the_text_below_it():
    """What the author wrote below a field, and in the docstring of a class, is in the schema."""
    definitions = schema_of(INSTALLED)["definitions"]
    postgres = definitions["source:postgres"]
    assert postgres["description"].startswith("Rows of an SQL query on PostgreSQL.")
    assert postgres["properties"]["uri"]["description"].startswith("Where the database is:")
    assert "`:window_start`" in postgres["properties"]["sql"]["description"]
    assert postgres["properties"]["connect_timeout"]["default"] == "10s"
    keys = {**definitions["collector"]["properties"], **definitions["project"]["properties"]}
    assert all(each["description"] for each in keys.values())


@pytest.mark.parametrize(
    ("default", "written"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (timedelta(minutes=90), "1h30m"),
        (["a", Path("/b")], ["a", "/b"]),
        ({"a": Decimal("1.10")}, {"a": "1.10"}),
        (None, None),
    ],
)
def test_defaults_are_written_as_in_yaml(default, written):
    """A default is shown as it would be written."""
    assert as_written(default) == written


def test_no_secret_is_a_default():
    """A default that is a secret is not shown."""

    @define
    class Careless(Read):
        token: Secret = field(default=Secret("hunter2-in-the-code"))

    registry = Registry()
    registry.types["source", "careless"] = PluginType("source", "careless", "x 1", Careless)
    assert "hunter2" not in json.dumps(schema_of(registry))


@pytest.mark.parametrize(
    ("validator", "right", "wrong"),
    [
        (validators.in_(["a", "NO", "1"]), ["a", "NO", "1", "'${X}'", "~"], ["b"]),
        (validators.in_({"a", "b"}), ["a"], ["c"]),
        (validators.optional(validators.in_(["a"])), ["a", "~"], ["b"]),
        (validators.and_(validators.ge(2), validators.lt(5)), ["2", "4", "'9'"], ["1", "5"]),
        ([validators.gt(2), validators.le(5)], ["3", "5"], ["2", "6"]),
        (validators.instance_of(str), ["a"], []),
        (validators.ge(timedelta()), ["a"], []),
        (lambda *_: None, ["a"], []),
        (validators.in_("abc"), ["a", "z"], []),
    ],
)
def test_validators_of_attrs(tmp_path, validator, right, wrong):
    """What the validators of attrs demand is in the schema, as far as it is more than code."""

    @define
    class Checked(Read):
        word: str = field(default="a", validator=validator)

    registry = Registry()
    registry.types["source", "x"] = PluginType("source", "x", "x 1", Checked)
    for text in (*right, *wrong):
        path = tmp_path / "f.yaml"
        source = f"{{type: x, config: {{word: {text}}}}}"
        path.write_text(f"name: a\nmetric: {{name: m, type: SUM}}\nsource: {source}")
        for version in VERSIONS:
            for _, content in documents_of(path, version):
                assert bool(mistakes_in(content, validator_of(registry))) == (text in wrong), text


def test_a_type_with_a_strange_name(tmp_path):
    """A type is found by its name, whatever characters it holds."""

    @define
    class Strange(Read):
        number: int

    registry = Registry()
    registry.types["source", "a/b~ %c"] = PluginType("source", "a/b~ %c", "x 1", Strange)
    path = tmp_path / "f.yaml"
    head = "name: a\nmetric: {name: m, type: SUM}\nsource: {type: a/b~ %c, config: {number: "
    for value, expected in [("1", set()), ("x", {"source.config.number"})]:
        path.write_text(f"{head}{value}}}}}")
        for _, content in documents_of(path, VERSIONS[1]):
            assert mistakes_in(content, validator_of(registry)) == expected


def test_a_field_that_is_called_time(tmp_path):
    """A source with a field `time` of its own keeps it, beside what the original means by it."""

    @define
    class Timed(Read):
        time: int = 0

    registry = Registry()
    registry.types["source", "timed"] = PluginType("source", "timed", "x 1", Timed)
    registry.types["source", "shop"] = PluginType("source", "shop", "x 1", Shop)
    head = "name: a\nmetric: {name: m, type: SUM}\nsource: "
    for source, is_right in [
        ("{type: timed, config: {time: 1}}", True),
        ("{type: shop, config: {uri: x, sql: x, time: {window: 1h}}, strategy: window}", True),
        ("{type: shop, config: {uri: x, sql: x, time: {window: 1h}}, strategy: tick}", False),
        ("{type: shop, config: {uri: x, sql: x, time: {window: 1h}}}", False),
    ]:
        path = tmp_path / "f.yaml"
        path.write_text(head + source)
        for _, content in documents_of(path, VERSIONS[1]):
            assert bool(mistakes_in(content, validator_of(registry))) != is_right, source
