"""What is wrong with text that is no YAML, in words that help, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from signals_core.errors import Problem

_TEMPLATE = re.compile(r"[:-]\s+\{\{")
_REFERENCE = re.compile(r"[:,\[]\s*[^\s'\",{}\[\]]*\$\{")
_TWO_COLONS = re.compile(r":\s.*:(?:\s|$)")
_SPECIAL_START = re.compile(r"[:-]\s+[%@`*&!|>]")


def syntax_problem(error: Exception, text: bytes, file: str) -> Problem:
    """Return the problem of a file that cannot be parsed, at the line where it shows."""
    if isinstance(error, yaml.reader.ReaderError):
        return _encoding_problem(error, text, file)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    number = mark.line + 1 if mark is not None else 1
    what = ", ".join(
        part for part in (getattr(error, "problem", None), getattr(error, "context", None)) if part
    )
    lines = text.decode(errors="replace").splitlines()
    line = lines[number - 1] if number <= len(lines) else ""
    opened = getattr(error, "context_mark", None)
    remedy = _remedy(what, line, opened.line + 1 if opened is not None else number)
    return Problem(f"is no YAML: {what or error}", remedy, file=file, line=number)


def _encoding_problem(error: yaml.reader.ReaderError, text: bytes, file: str) -> Problem:
    line = text.count(b"\n", 0, error.position) + 1
    if isinstance(error.character, int) and "control" in str(error.reason):
        what = f"it holds the control character U+{error.character:04X}"
        return Problem(f"is no YAML: {what}", "take it out", file=file, line=line)
    return Problem("is no YAML: it is not UTF-8 text", "save it as UTF-8", file=file, line=line)


def _remedy(what: str, line: str, opened: int) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not tabs"
    if "flow" in what and _REFERENCE.search(line):
        return "inside {} or [] put quotes around a value with ${"
    if _TEMPLATE.search(line):
        return "put single quotes around a value that begins with {{"
    for shows, remedy in _REMEDIES:
        if shows(what, line):
            return remedy.format(opened=opened)
    return ""


_REMEDIES: list[tuple[Callable[[str, str], bool], str]] = [
    (lambda what, _: "undefined alias" in what, "quote a value that begins with *"),
    (lambda what, _: "quoted scalar" in what and "end of" in what,
     "close the quote that line {opened} opens"),
    (lambda what, _: "escape" in what, "write \\\\ for a backslash, or use single quotes"),
    (lambda what, _: "flow mapping" in what, "close the {{ that line {opened} opens"),
    (lambda what, _: "flow sequence" in what, "close the [ that line {opened} opens"),
    (lambda what, line: "mapping values" in what and bool(_TWO_COLONS.search(line)),
     "quote a value that holds ': '"),
    (lambda what, _: "mapping values" in what or "block" in what,
     "indent it like the lines it belongs to"),
    (lambda _, line: bool(_SPECIAL_START.search(line)),
     "quote a value that begins with one of % @ ` * & ! | >"),
]  # fmt: skip
