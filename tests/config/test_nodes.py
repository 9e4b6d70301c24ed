"""YAML as it is written: text with places, whatever YAML would make of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core.config.nodes import Items, Keys, Mark, Scalar, compose, is_null, kind_of

ROOT = Mark("f.yaml", Path("/etc"), 1)


def read(text):
    problems = []
    data = text if isinstance(text, bytes) else text.encode()
    return compose(data, "f.yaml", Path("/etc"), problems), [str(each) for each in problems]


def one(text):
    documents, problems = read(text)
    assert not problems
    (document,) = documents
    return document


@pytest.mark.parametrize(
    "text", ["1.10", "NO", "010", "1:30", "2026-01-01", "yes", "0x1F", "1_000", ".5", "=", "1e3"]
)
def test_scalars_stay_text(text):
    """A scalar is the letters that were written, not what YAML 1.1 makes of them."""
    assert one(f"a: {text}").nodes["a"] == Scalar(text, ROOT)


@pytest.mark.parametrize("text", ["~", "null", "Null", "NULL", ""])
def test_bare_nulls(text):
    """A bare null, or nothing, is null."""
    assert one(f"a: {text}\nb: 1").nodes["a"] == Scalar(text, ROOT, null=True)


@pytest.mark.parametrize("text", ["'~'", '"null"', "''", "|\n  null", ">-\n  ~", "!!str ~"])
def test_quoted_nulls_are_text(text):
    """A quoted null is text, and so is one in a block or one that is said to be text."""
    assert not is_null(one(f"a: {text}").nodes["a"])


def test_keys_are_text():
    """A key stays text too, also where YAML would take it for something else."""
    assert list(one("NO: 1\n1.10: 2\n~: 3\n010: 4").nodes) == ["NO", "1.10", "~", "010"]


def test_places():
    """Every node knows its line and key path, and every key its own."""
    document = one("# comment\na:\n  b:\n    - x\n    - {c: y}\n")
    assert document.mark_of("a") == Mark("f.yaml", Path("/etc"), 2, "a")
    items = document.nodes["a"].nodes["b"]
    assert items.mark == Mark("f.yaml", Path("/etc"), 4, "a.b")
    assert items.nodes[0].mark == Mark("f.yaml", Path("/etc"), 4, "a.b[0]")
    assert items.nodes[1].mark_of("c") == Mark("f.yaml", Path("/etc"), 5, "a.b[1].c")
    assert items.nodes[1].mark_of("d") == Mark("f.yaml", Path("/etc"), 5, "a.b[1].d")


def test_mappings_are_changed_by_copies():
    """Setting or dropping keys leaves the original alone and keeps the old places."""
    keys = one("a: 1\nb: 2")
    changed = keys.with_key("b", Scalar("3", ROOT)).without("a")
    assert list(keys.nodes) == ["a", "b"]
    assert changed.nodes == {"b": Scalar("3", ROOT)}
    assert changed.mark_of("b").line == 2


def test_kinds_have_names():
    """A message calls a node what a person would."""
    kinds = [one("a: x").nodes["a"], one("a: ~").nodes["a"], one("[a]"), one("a: b")]
    assert [kind_of(each) for each in kinds] == ["text", "empty", "a list", "a mapping"]


def test_several_documents():
    """A file holds several documents; empty ones are nothing."""
    documents, problems = read("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n...\n")
    assert [list(each.nodes) for each in documents] == [["a"], ["b"]]
    assert [each.mark.line for each in documents] == [4, 7]
    assert not problems


@pytest.mark.parametrize("text", ["", "# only words\n", "---\n", "---\n---\n", "~", "\n\n"])
def test_nothing(text):
    """A file without content has no documents and no mistakes."""
    assert read(text) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfa: caf\xc3\xa9\r\nb: x\r\n",
        "a: café\nb: x\n".encode("utf-16"),
        "a: café\nb: x".encode(),
    ],
    ids=["BOM and CRLF", "UTF-16", "no line break at the end"],
)
def test_encodings(text):
    """Byte order marks and the line breaks of other systems change nothing."""
    nodes = one(text).nodes
    assert (nodes["a"].text, nodes["b"].text, nodes["b"].mark.line) == ("café", "x", 2)


def test_duplicate_key():
    """A key that is there twice is a mistake that names both lines, and none of the two counts."""
    documents, problems = read("a: 1\nb:\n  c: 2\n  d: 3\n  'c': 4\na: 5\n")
    assert problems == [
        "f.yaml:5: b.c: the key is there twice: in line 3 and here",
        "f.yaml:6: a: the key is there twice: in line 1 and here",
    ]
    assert documents[0].nodes["a"].refused
    assert documents[0].nodes["b"].nodes["c"].refused


def test_anchors_and_merge_keys():
    """Aliases stand for what they name; `<<` brings what is not there already, first one first."""
    document = one(
        "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\n"
        "z: {<<: [*x, *y], c: 5}\nw:\n  <<: *x\n  a: 6\nv: *x"
    )
    text = {key: {k: v.text for k, v in document.nodes[key].nodes.items()} for key in "zwv"}
    assert text == {
        "z": {"c": "5", "a": "1", "b": "2"},
        "w": {"a": "6", "b": "2"},
        "v": {"a": "1", "b": "2"},
    }
    assert document.nodes["z"].mark_of("b").line == 1
    assert one("a: {'<<': x}").nodes["a"].nodes["<<"].text == "x"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &a [x, *a]", "f.yaml:1: a[1]: holds itself, through an alias"),
        ("a: &a {<<: *a, b: c}", "f.yaml:1: a: holds itself, through an alias"),
        ("a: {<<: x}", "f.yaml:1: a.<<: << takes a mapping or a list of them"),
        ("a: {<<: [{b: c}, x]}", "f.yaml:1: a.<<: << takes a mapping or a list of them"),
        ("a: b\n? [c]\n: d", "f.yaml:2: a key must be text"),
        ("a: b\nc: !env X", "f.yaml:2: c: has the YAML tag !env (take the tag out)"),
        ("c: !!binary aa==", "f.yaml:1: c: has the YAML tag !!binary (take the tag out)"),
        (
            "c: !!python/object/apply:os.system [ls]",
            "f.yaml:1: c: has the YAML tag !!python/object/apply:os.system (take the tag out)",
        ),
        (
            'a: b\nuri: {{ getEnv "X" }}',
            "f.yaml:2: uri: begins with {{ (put single quotes around the value)",
        ),
    ],
)
def test_what_cannot_be_used(text, problem):
    """What is YAML but cannot be used is one mistake at its place, and nothing follows from it."""
    assert read(text)[1] == [problem]


KEY = "did not find expected key, while parsing a block mapping"
TOKEN = "found character that cannot start any token, while scanning for the next token"
IN_MAPPING = "did not find expected ',' or '}', while parsing a flow mapping"
IN_LIST = "did not find expected ',' or ']', while parsing a flow sequence"
SPECIAL = "quote a value that begins with one of % @ ` * & ! | >"
FLOW = "inside {} or [] put quotes around a value with ${"


@pytest.mark.parametrize(
    ("text", "line", "what", "remedy"),
    [
        ('uri: {{ getEnv "X" }}/y', 1, KEY, "put single quotes around a value that begins with {{"),
        (
            "a: b\nabout: one thing: another",
            2,
            "mapping values are not allowed in this context",
            "quote a value that holds ': '",
        ),
        (
            "a: b\n c: d",
            2,
            "mapping values are not allowed in this context",
            "indent it like the lines it belongs to",
        ),
        ("a: b\nc:\n\td: e", 3, TOKEN, "indent with spaces, not tabs"),
        ("a:\n    b: c\n  d: e", 3, KEY, "indent it like the lines it belongs to"),
        ("a: b\ntags: {c: d\ne: f", 3, IN_MAPPING, "close the { that line 2 opens"),
        ("a: b\nsinks: [c, d\ne: f", 3, IN_LIST, "close the [ that line 2 opens"),
        ("sources: {a: {uri: ${X}}}", 1, IN_MAPPING, FLOW),
        ("sinks: [a, x${X}]", 1, IN_LIST, FLOW),
        (
            'a: b\nc: "d\n',
            3,
            "found unexpected end of stream, while scanning a quoted scalar",
            "close the quote that line 2 opens",
        ),
        (
            'a: "b\\q"',
            1,
            "found unknown escape character, while parsing a quoted scalar",
            "write \\\\ for a backslash, or use single quotes",
        ),
        ("a: @daily", 1, TOKEN, SPECIAL),
        ("a: *b", 1, "found undefined alias", "quote a value that begins with *"),
        (b"a: b\nc: caf\xe9", 2, "it is not UTF-8 text", "save it as UTF-8"),
        (b"a: b\n\nc: d\0e", 3, "it holds the control character U+0000", "take it out"),
        ("a: b\n...\nc: d", 3, "did not find expected <document start>", ""),
    ],
)
def test_no_yaml(text, line, what, remedy):
    """Text that is no YAML is one mistake at its line, with what a newcomer needs to know."""
    expected = f"f.yaml:{line}: is no YAML: {what}" + (f" ({remedy})" if remedy else "")
    assert read(text)[1] == [expected]


def test_hopeless_nesting():
    """What the parser itself cannot follow is a mistake like any other."""
    problem = "is no YAML: exceeded maximum nesting depth, while increasing flow level"
    assert read("[" * 100_000)[1] == [f"f.yaml:1: {problem}"]


def test_documents_before_a_mistake_are_read():
    """A document that is no YAML does not hide the ones before it."""
    documents, problems = read("a: 1\n---\nb: [\n")
    assert [list(each.nodes) for each in documents] == [["a"]]
    assert len(problems) == 1


@pytest.mark.parametrize("deep", ["[" * 101 + "]" * 101, "{a: " * 101 + "}" * 101])
def test_deep_nesting(deep):
    """A document too deep to walk through is refused, and the next one is read."""
    documents, problems = read(f"a: 1\n---\n{deep}\n---\nb: 2\n")
    assert [list(each.nodes) for each in documents] == [["a"], ["b"]]
    assert problems == ["f.yaml:3: the document is nested more than 100 levels deep"]


def test_a_hundred_levels_are_fine():
    """Nesting is allowed as deep as anybody can mean it."""
    assert not read("[" * 100 + "]" * 100)[1]


def test_billion_laughs():
    """Aliases that multiply are refused before they fill the memory, and the next one is read."""
    levels = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefgh"))
    documents, problems = read(f"a: &a [x, x]\n{levels}\n---\nb: 2\n")
    assert [list(each.nodes) for each in documents] == [["b"]]
    assert len(problems) == 1
    assert problems[0].endswith("the document holds more than 200000 values (its aliases multiply)")


YAMLISH = st.lists(
    st.sampled_from(
        [*"abc:-?[]{},&*!|>'\"%@`#~=\n\n\n    \t\r\\\0\ufeff", ": ", "- ", "---\n", "...\n", "<<: ",
         "&a ", "*a", "!!str ", "{{ ", " }}", "${X}", "null", "\x85", "\u2028", "é", "😀", "\x07"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(st.one_of(YAMLISH.map(str.encode), st.binary(max_size=40)))
def test_no_text_makes_it_stumble(text):
    """Whatever the bytes are, the outcome is documents and problems with their lines."""
    documents, problems = read(text)
    assert all(isinstance(each, (Scalar, Items, Keys)) for each in documents)
    assert all(each.startswith("f.yaml:") for each in problems)
