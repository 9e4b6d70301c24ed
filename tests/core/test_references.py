"""References in text: what replaces them, what is none, and what leads nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core.references import (
    Malformed,
    Unresolved,
    anchored,
    expand,
    has_references,
)

ENVIRONMENT = {"A": "one", "EMPTY": "", "TRICKY": "${A} $${A} \\1 }", "_x9": "nine"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain $A {A} $ {A}", "plain $A {A} $ {A}"),
        ("${A}", "one"),
        ("<${A}${_x9}>", "<onenine>"),
        ("${EMPTY}", ""),
        ("${TRICKY}", "${A} $${A} \\1 }"),
        ("${NONE:-two}", "two"),
        ("${NONE:-}", ""),
        ("${A:-two}", "one"),
        ("${EMPTY:-two}", "two"),
        ("${NONE:-a:-b}", "a:-b"),
        ("${NONE:-{\\}}", "{}"),
        ("${NONE:-a\\d$5}", "a\\d$5"),
        ("${NONE:-two\nlines\\\n}", "two\nlines\\\n"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${", "${"),
        ("${NONE:-${A\\}}", "${A}"),
        ("${NONE:-\u00e9\U0001f600}", "\u00e9\U0001f600"),
    ],
)
def test_expand(template, text):
    """References are replaced once, by text that is not looked at again."""
    assert expand(template, ENVIRONMENT) == text


@pytest.mark.parametrize(
    "template",
    [
        "${",
        "${}",
        "${A",
        "${1A}",
        "${A-b}",
        "${A B}",
        "${A:b}",
        "${file:}",
        "${NONE:-x",
        "${é}",
        "${NONE:-${A}}",
    ],
)
def test_malformed(template):
    """What begins like a reference and is none, or holds another, is an error, not text."""
    with pytest.raises(Malformed, match="is no reference"):
        expand(template, ENVIRONMENT)


def test_an_unset_variable():
    """A variable that is not set, and has no default, leads nowhere."""
    with pytest.raises(Unresolved, match="the environment variable NONE is not set"):
        expand("${A}${NONE}", ENVIRONMENT)


def test_the_environment_of_the_process(monkeypatch):
    """Without another environment it is that of the process."""
    monkeypatch.setenv("SIGNALS_TEST_REFERENCE", "here")
    assert expand("${SIGNALS_TEST_REFERENCE}") == "here"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" s \xc3\xa9 ", " s \u00e9 "),
        (b"", ""),
        (b"${A}", "${A}"),
    ],
)
def test_files(tmp_path, content, text):
    """A file gives its content without its last line break, and shows it to whom it concerns."""
    (tmp_path / "x y").write_bytes(content)
    seen = []
    assert expand(f"<${{file:{tmp_path}/x y}}>", {}, seen.append) == f"<{text}>"
    assert seen == [text]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "not UTF-8 text"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, make, reason):
    """A file that cannot be read leads nowhere, and the message says why."""
    make(tmp_path / "x")
    with pytest.raises(Unresolved, match=f"the file {tmp_path}/x cannot be read: {reason}"):
        expand(f"${{file:{tmp_path}/x}}", {})


def test_a_file_that_cannot_be():
    """A path that no file can have leads nowhere."""
    with pytest.raises(Unresolved, match="cannot be read: embedded null byte"):
        expand("${file:/a\0b}", {})


def test_anchored():
    """Relative paths are taken from a folder; all else stays as it is written."""
    template = "${file:a/b} ${file:/c} $${file:d} ${A:-x}"
    assert anchored(template, Path("/etc/s")) == "${file:/etc/s/a/b} ${file:/c} $${file:d} ${A:-x}"


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_text_without_references_stays(text):
    """Text that holds no `${` is its own expansion."""
    text = text.replace("${", "")
    assert has_references(text) or expand(text, {}) == text


@given(texts)
def test_escaping(text):
    """Text whose every `${` is doubled expands to itself."""
    parts = text.replace("$", "").split("{")
    text = "${".join(parts)
    assert expand(text.replace("${", "$${"), {}) == text


@given(st.lists(st.tuples(texts.map(lambda text: text.replace("$", "")), texts)))
def test_values_are_never_structure(parts):
    """Values take the places of their names, whatever they hold."""
    environment = {f"N{number}": value for number, (_, value) in enumerate(parts)}
    template = "".join(f"{text}${{N{number}}}" for number, (text, _) in enumerate(parts))
    assert expand(template, environment) == "".join(text + value for text, value in parts)


@given(texts.map(lambda text: text.replace("\\", "")))
def test_defaults(text):
    """A default is any text with its braces escaped."""
    assert expand("${NONE:-" + text.replace("}", "\\}") + "}", {}) == text


def test_the_environment_is_left_alone():
    """Expanding changes no variable."""
    before = dict(os.environ)
    expand("${NONE:-x}")
    assert dict(os.environ) == before
