"""Scalars are typed by the field they land in, and every mistake has its line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from attrs import define, field, fields
from hypothesis import given
from hypothesis import strategies as st

from parts.configured import Colour, Everything, Http, Level, Part, Size
from signals_core.config.nodes import Items, Keys, Mark, Scalar, compose
from signals_core.config.structure import Failed, Structurer, nearest
from signals_core.plugin import Json
from signals_core.secret import Secret, mask

NO_MOMENT = "is not a date or time such as 2026-01-01 or 2026-01-01T06:00Z"
NOT_SET = (
    "the environment variable NO_SUCH_VARIABLE is not set "
    "(set it, or give a default as in ${NAME:-default})"
)
MARK = Mark("f.yaml", Path("/etc/signals"), 1)


def built(cls, text, zone="UTC"):
    """Return an instance of `cls`, or None, and the problems of a text."""
    problems = []
    (node,) = compose(text.encode(), "f.yaml", MARK.folder, problems)
    structurer = Structurer(problems)
    structurer.zone = ZoneInfo(zone)
    return structurer.attempt(node, cls), [str(each) for each in problems]


def value(key, text, **kwargs):
    instance, problems = built(Everything, f"{key}: {text}", **kwargs)
    assert not problems
    return getattr(instance, key)


def problem(key, text):
    instance, problems = built(Everything, f"{key}: {text}")
    assert instance is None
    (found,) = problems
    return found


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        *[("text", text, text) for text in "1.10 NO 010 1:30 2026-01-01 true 1e3 .inf".split()],
        ("text", "'~'", "~"),
        ("text", "'null'", "null"),
        ("text", "''", ""),
        ("text", "|\n  a\n  b\n", "a\nb\n"),
        ("number", "010", 10),
        ("number", "'7'", 7),
        ("number", "-3", -3),
        ("ratio", "3", 3.0),
        ("ratio", "'1e3'", 1000.0),
        ("ratio", "-.5", -0.5),
        ("amount", "1.10", Decimal("1.10")),
        ("amount", "1" * 30 + ".01", Decimal("1" * 30 + ".01")),
        ("flag", "true", True),
        ("flag", "'false'", False),
        ("length", "1h30m", timedelta(hours=1.5)),
        ("length", "1.5h", timedelta(hours=1.5)),
        ("length", "1w2d3h4m5s6ms", timedelta(9, 11045, 6000)),
        ("length", "0", timedelta()),
        ("moment", "2026-01-01T06:00:00+02:00", datetime(2026, 1, 1, 4, tzinfo=UTC)),
        ("moment", "2026-01-01 06:00Z", datetime(2026, 1, 1, 6, tzinfo=UTC)),
        ("choice", "b", "b"),
        ("colour", "blue", Colour.BLUE),
        ("size", "l", Size.LARGE),
        ("level", "2", Level.HIGH),
        ("texts", "[NO, 1.10, '~']", ["NO", "1.10", "~"]),
        ("lengths", "[1h, 1d]", [timedelta(hours=1), timedelta(days=1)]),
        ("by_name", "{a: 1, NO: 2}", {"a": 1, "NO": 2}),
        ("maybe", "5", 5),
        ("maybe", "~", None),
        ("part", "{name: x}", Part("x", 1)),
        ("parts", "[{name: x, count: 2}]", [Part("x", 2)]),
    ],
)  # fmt: skip
def test_types(key, text, expected):
    """Each type reads the letters that were written, quoted or not."""
    found = value(key, text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("key", [each.name for each in fields(Everything)])
def test_null_is_absence(key):
    """A bare null is as if the key were not there; only what may be None becomes None."""
    default = None if key in ("maybe", "json") else getattr(Everything(), key)
    assert value(key, "~") == default
    assert value(key, "") == default


def test_null_of_what_is_required():
    """A required key that is null is missing."""
    expected = ["f.yaml:1: name: is missing (it takes text)"]
    assert built(Part, "name:") == (None, expected)
    assert built(Part, "count: 1") == (None, expected)


def test_nulls_in_a_mapping():
    """An entry that is null is not there."""
    assert value("by_name", "{a: 1, b: ~}") == {"a": 1}


@pytest.mark.parametrize(
    ("key", "text", "what"),
    [
        ("text", "[a]", "is a list (write text)"),
        ("text", "{a: b}", "is a mapping (write text)"),
        ("number", "3.7", "'3.7' is not a whole number"),
        ("number", "1_000", "'1_000' is not a whole number"),
        ("number", "0x1F", "'0x1F' is not a whole number"),
        ("number", "'٣'", "'٣' is not a whole number"),
        ("number", "''", "'' is not a whole number"),
        ("number", "' 3'", "' 3' is not a whole number"),
        ("number", "9" * 5000, "'" + "9" * 59 + "…' is not a whole number"),
        ("ratio", ".inf", "'.inf' is not a number"),
        ("ratio", "nan", "'nan' is not a number"),
        ("ratio", "1e999", "'1e999' is not a number"),
        ("amount", "NaN", "'NaN' is not a number"),
        ("amount", "1e99999999999999999999", "'1e99999999999999999999' is not a number"),
        ("flag", "yes", "'yes' is not true or false"),
        ("flag", "True", "'True' is not true or false"),
        ("flag", "0", "'0' is not true or false"),
        ("length", "30", "'30' is not a duration such as 30s, 1h30m or 1.5h"),
        ("length", "1 h", "'1 h' is not a duration such as 30s, 1h30m or 1.5h"),
        ("length", "1mo", "'1mo' is not a duration such as 30s, 1h30m or 1.5h"),
        ("length", "-1h", "'-1h' is not a duration such as 30s, 1h30m or 1.5h"),
        ("length", "9999999999w", "'9999999999w' is not a duration such as 30s, 1h30m or 1.5h"),
        ("moment", "2026-02-30", f"'2026-02-30' {NO_MOMENT}"),
        ("moment", "0001-01-01T00:00+05:00", f"'0001-01-01T00:00+05:00' {NO_MOMENT}"),
        ("path", "''", "'' is not a path"),
        ("path", '"a\\0b"', "'a\\x00b' is not a path"),
        ("path", "~nobody-of-that-name/x", "'~nobody-of-that-name/x' is not a path"),
        ("secret", "[a]", "is a list (write text or a reference such as ${PASSWORD})"),
        ("choice", "c", "'c' is none of its values (known: a, b)"),
        ("colour", "Blue", "'Blue' is none of its values (did you mean blue?)"),
        ("size", "SMALL", "'SMALL' is none of its values (known: l, s)"),
        ("texts", "a", "is text (write a list)"),
        ("by_name", "[a]", "is a list (write a mapping)"),
        ("part", "x", "is text (write a mapping)"),
        ("maybe", "x", "'x' is not a whole number"),
    ],
)
def test_mistakes_of_types(key, text, what):
    """What a type does not take is one mistake, at its place, and says what would be right."""
    assert problem(key, text) == f"f.yaml:1: {key}: {what}"


def test_places_inside():
    """A mistake inside a list, a mapping or a nested class has the path and the line of its own."""
    _, problems = built(
        Everything,
        "texts:\n  - a\n  - [b]\n  - ~\nby_name:\n  a: 1\n  b: x\npart:\n  nam: y\n  count: z\n"
        "parts:\n  - name: a\n  - count: 1.5\n",
    )
    assert sorted(problems, key=lambda text: int(text.split(":")[1])) == [
        "f.yaml:3: texts[1]: is a list (write text)",
        "f.yaml:4: texts[2]: is empty (write text)",
        "f.yaml:7: by_name.b: 'x' is not a whole number",
        "f.yaml:9: part.nam: is no known key (did you mean name?)",
        "f.yaml:9: part.name: is missing (it takes text)",
        "f.yaml:10: part.count: 'z' is not a whole number",
        "f.yaml:13: parts[1].name: is missing (it takes text)",
        "f.yaml:13: parts[1].count: '1.5' is not a whole number",
    ]


def test_dates_are_midnight_in_the_zone():
    """A date, and a time without zone, is in the collector's zone."""
    assert value("moment", "2026-07-01", zone="Europe/Paris") == datetime(
        2026, 6, 30, 22, tzinfo=UTC
    )
    assert value("moment", "2026-07-01T06:00", zone="Asia/Tokyo") == datetime(
        2026, 6, 30, 21, tzinfo=UTC
    )


def test_paths_are_relative_to_the_file():
    """A relative path starts from the folder of the file that names it; `~` is the home."""
    assert value("path", "a/b") == Path("/etc/signals/a/b")
    assert value("path", "../b") == Path("/etc/signals/../b")
    assert value("path", "/a") == Path("/a")
    assert value("path", "~/a") == Path.home() / "a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'[1, 2.5, true, null, \"x\"]'", [1, 2.5, True, None, "x"]),
        ('|\n  [{"$group": {"_id": "$a"}}]\n', [{"$group": {"_id": "$a"}}]),
        ("[1, -2.5, 1e3, true, null, ~, x]", [1, -2.5, 1000.0, True, None, None, "x"]),
        ("['1', \"true\", 'null']", ["1", "true", "null"]),
        ("\n- |-\n  1\n- >-\n  true\n", ["1", "true"]),
        ("[010, 1:30, NO, 1.10, 0x1F, +1, .5, 1., True, 2026-01-01]",
         ["010", "1:30", "NO", 1.1, "0x1F", "+1", ".5", "1.", "True", "2026-01-01"]),
        ("{a: {b: [1]}}", {"a": {"b": [1]}}),
        ("'\"text\"'", "text"),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)  # fmt: skip
def test_json(text, expected):
    """Json is JSON text or a YAML tree, whose plain scalars are what JSON would make of them."""
    found = value("json", text)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("'[1,'", "is no JSON: Expecting value: line 1 column 4 (char 3)"),
        ("hello", "is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ('\'{"a": 1, "a": 2}\'', "is no JSON: the key 'a' is there twice in one object"),
        ("'[NaN]'", "is no JSON: NaN is no number"),
        ("'[1e999]'", "is no JSON: 1e999 is too large a number"),
        ("'[-1e999]'", "is no JSON: -1e999 is too large a number"),
        ("'" + "[" * 5000 + "'", "is no JSON: it is nested more than 100 levels deep"),
        ("'" + "[" * 101 + "]" * 101 + "'", "is no JSON: it is nested more than 100 levels deep"),
        ("'" + "9" * 5000 + "'", "is no JSON: a number of 5000 digits is too large"),
    ],
)
def test_json_text_that_is_none(text, what):
    """JSON text is strict: no duplicate keys, no NaN, nothing that is too large to be meant."""
    assert problem("json", text) == f"f.yaml:1: json: {what}"


@pytest.mark.parametrize("text", ["1e999", "9" * 5000])
def test_json_trees_are_strict_too(text):
    """A number in a tree that is too large to be meant is a mistake at its line."""
    _, problems = built(Everything, f"json:\n  - 1\n  - {text}\n")
    assert len(problems) == 1
    assert problems[0].startswith("f.yaml:3: json[1]: is no JSON: ")


def test_references(monkeypatch, tmp_path):
    """References are replaced in the text of any type, once, and after parsing."""
    monkeypatch.setenv("A", "3")
    monkeypatch.setenv("TRICKY", 'x: {y: "z}')
    monkeypatch.setenv("AGAIN", "${A}")
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "secret").write_text("s3cret\n")
    assert value("number", "${A}") == 3
    assert value("flag", "${B:-false}") is False
    assert value("length", "${A}0s") == timedelta(seconds=30)
    assert value("text", "a${TRICKY}b") == 'ax: {y: "z}b'
    assert value("text", "${AGAIN}") == "${A}"
    assert value("text", "${EMPTY}${EMPTY:-d}") == "d"
    assert value("text", "'$${A} $$A $A'") == "${A} $$A $A"
    assert value("text", f"${{file:{tmp_path}/secret}}!") == "s3cret!"
    assert value("choice", "${X:-b}") == "b"
    assert value("path", "${X:-a}/b") == Path("/etc/signals/a/b")
    assert value("json", "\n- '${A}'\n- ${A}\n- x${A}") == ["3", 3, "x3"]


def test_references_in_json_text(monkeypatch):
    """In JSON text a value cannot break out of its string; where there is none, it may be all."""
    monkeypatch.setenv("TRICKY", '", "x": "')
    monkeypatch.setenv("PIPELINE", '[{"a": 1}]')
    monkeypatch.setenv("N", "5")
    assert value("json", """'{"a": "${TRICKY}"}'""") == {"a": '", "x": "'}
    assert value("json", """'{"${N}": 1}'""") == {"5": 1}
    assert value("json", "${PIPELINE}") == [{"a": 1}]
    assert value("json", "'[${N}]'") == [5]
    assert problem("json", "'[${TRICKY}]'").startswith("f.yaml:1: json: is no JSON: ")


@pytest.mark.parametrize("text", ["${A B}", "${", "${}", "${1}", "${A", "${A:b}", "${file:}"])
def test_malformed_references(text):
    """A `${` that starts no reference is a mistake that says how references are written."""
    remedy = "(write ${NAME}, ${NAME:-default}, ${file:/path}, or $${ for ${)"
    assert problem("text", f"'{text}'") == f"f.yaml:1: text: {text!r} is no reference {remedy}"


def test_file_reference_without_end():
    """A file that is larger than any secret, or has no end, leads nowhere."""
    _, problems = built(Everything, "text: ${file:/dev/zero}")
    what = "the file /dev/zero cannot be read: longer than 1048576 characters"
    assert problems == [f"f.yaml:1: text: {what}"]


def test_malformed_behind_one_that_leads_nowhere():
    """A reference that is malformed is a mistake although another one leads nowhere."""
    assert "'${' is no reference" in problem("text", "'${NO_SUCH_VARIABLE} ${'")


def test_file_reference_that_names_no_file():
    """A path that can be none leads nowhere, like one to a file that is not there."""
    _, problems = built(Everything, 'text: "${file:a\\0b}"')
    assert len(problems) == 1
    assert problems[0].startswith("f.yaml:1: text: the file ")


@pytest.mark.parametrize("key", [each.name for each in fields(Everything) if each.name not in
                                 ("texts", "lengths", "by_name", "part", "parts")])  # fmt: skip
def test_references_that_lead_nowhere(key):
    """An unset variable is a warning, whatever the type, and nothing follows from it."""
    _, problems = built(Everything, f"{key}: ${{NO_SUCH_VARIABLE}}")
    assert problems == [f"f.yaml:1: {key}: {NOT_SET}"]


def test_missing_file_of_a_reference():
    """A file that is not there is a warning that names it, from the folder of the file."""
    problems = []
    structurer = Structurer(problems)
    node = Scalar("${file:no/such}", MARK.at("secret"))
    assert structurer.structure(node, Secret) == Secret("${file:/etc/signals/no/such}")
    (found,) = problems
    assert found.warning
    assert str(found) == (
        "f.yaml:1: secret: the file /etc/signals/no/such cannot be read: No such file or directory"
    )


def test_secrets_keep_their_template(monkeypatch):
    """A secret is resolved when it is revealed, and masked from the moment it is read."""
    monkeypatch.setenv("DB_PASSWORD", "first-password")
    secret = value("secret", "${DB_PASSWORD}")
    assert mask("it is first-password") == "it is ***"
    monkeypatch.setenv("DB_PASSWORD", "second-password")
    assert secret.reveal() == "second-password"
    assert "password" not in repr(secret) + str(secret)


def test_validators_point_at_their_field():
    """What a class refuses stands at the line of the field, all fields at once."""
    _, problems = built(Http, "method: POST\nuri: ftp://x\nverify_tls: true")
    assert problems == ["f.yaml:2: uri: uri must begin with http://"]

    @define
    class Two:
        low: int = field()
        high: int = field()
        word: str = field(default="", converter=str)

        @low.validator
        def _low(self, attribute, value):
            if value < 0:
                raise ValueError("must not\nbe negative")

        @high.validator
        def _high(self, attribute, value):
            if value < self.low:
                raise ValueError("high: must not be lower than low")

    assert built(Two, "low: -1\nhigh: -2")[1] == [
        "f.yaml:1: low: must not be negative",
        "f.yaml:2: high: must not be lower than low",
    ]
    assert built(Two, "low: 1\nhigh: 2")[0] == Two(1, 2)


def test_validators_that_look_at_other_fields():
    """A validator that looks at a field which was not given does not hide what others refuse."""

    @define
    class Odd:
        a: int = field(default=0)
        b: int = field(default=0)
        seen: list[int] = field(init=False, factory=list)

        @a.validator
        def _a(self, attribute, value):
            self.seen.append(value)

        @b.validator
        def _b(self, attribute, value):
            if value:
                raise ValueError("must be zero")

    assert built(Odd, "a: 1\nb: 2")[1] == ["f.yaml:2: b: must be zero"]


def test_refusals_of_the_whole():
    """What a class says of all its fields stands at the mapping, or at the key it begins with."""

    @define
    class Whole:
        a: int = 0
        b: int = 0

        def __attrs_post_init__(self):
            if self.a == self.b:
                raise ValueError("a and b must differ")
            if self.b == 5:
                raise ValueError("b: five is too many")
            if self.b == 6:
                raise TypeError("what is this")

    assert built(Whole, "\n\na: 1\nb: 1")[1] == ["f.yaml:3: a and b must differ"]
    assert built(Whole, "\n\na: 1\nb: 5")[1] == ["f.yaml:4: b: five is too many"]
    assert built(Whole, "\n\na: 1\nb: 6")[1] == ["f.yaml:3: TypeError: what is this"]


def test_validators_of_unknown_text_are_not_asked():
    """While a variable is not set, what a class says of the text means nothing."""
    _, problems = built(Http, "uri: ${NO_SUCH_VARIABLE}")
    assert problems == [f"f.yaml:1: uri: {NOT_SET}"]


def test_refused_nodes_say_nothing_more():
    """What was refused when it was read fails without a word."""
    problems = []
    structurer = Structurer(problems)
    node = Keys({"a": Scalar("", MARK, refused=True)}, MARK)
    for kind, of in [
        (str, node.nodes["a"]),
        (dict[str, int], node),
        (Json, node),
        (Json, node.nodes["a"]),
    ]:
        with pytest.raises(Failed):
            structurer.structure(of, kind)
    assert not problems


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("grian", ["grain", "name"], "did you mean grain?"),
        ("GRAIN", ["grain", "name"], "did you mean grain?"),
        ("xyz", ["b", "a"], "known: a, b"),
        ("xyz", [], "known: none"),
    ],
)
def test_nearest(name, known, remedy):
    """A typo gets the nearest known name, anything else the list of them."""
    assert nearest(name, known) == remedy


TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        "1 -1 1e400 9e99999999 ~ null true 1h 1.5h 2026-01-01 9999-12-31T23:59-23:59 ${A} ${X} ${ "
        "${file:x} $${ [1] {} NaN ~x ${A:-1} \\ a/../b ☃ ٣ Infinity 1d2w".split()
    ),
)
SCALARS = st.builds(Scalar, TEXTS, st.just(MARK), st.booleans(), st.booleans(), st.booleans())
NODES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(Items, st.lists(inner, max_size=3), st.just(MARK)),
        st.builds(
            Keys,
            st.dictionaries(st.sampled_from(["a", "name", "count", "", "x.y"]), inner, max_size=3),
            st.just(MARK),
        ),
    ),
    max_leaves=8,
)


@given(st.sampled_from([each.name for each in fields(Everything)]), NODES)
def test_no_node_makes_it_stumble(key, node):
    """Whatever lands in whatever field, the outcome is a value or problems."""
    problems = []
    instance = Structurer(problems).attempt(Keys({key: node}, MARK), Everything)
    refused = "refused=True" in repr(node)
    assert instance is not None or problems or refused


@given(NODES)
def test_json_trees_keep_their_shape(node):
    """Any tree lands in a Json field, but for what was refused and what leads nowhere."""
    problems = []
    structurer = Structurer(problems)
    wrapped = Items([node], MARK)
    found = structurer.attempt(wrapped, Json)
    assert problems or "refused=True" in repr(node) or len(found) == 1
