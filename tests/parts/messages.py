"""What the code says to people: the texts of its mistakes and of its log, with `…` for what varies.

They are read from the source, where they stand as literals. A remedy in parentheses is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [
    ROOT / folder
    for folder in (
        "signals_core",
        "plugins/signals_mongo/signals_mongo",
        "plugins/signals_postgres/signals_postgres",
        "plugins/signals_vector/signals_vector",
    )
]

_REMEDY = re.compile(r" \((?:[^()]|\([^()]*\))*\)$")
_LEVELS = {"debug", "info", "warning", "error", "exception"}
_MISTAKES = {
    "BadParameter",
    "Cancelled",
    "CannotListen",
    "Malformed",
    "NotDue",
    "Problem",
    "Rejected",
    "RetryAfter",
    "Unavailable",
    "Unresolved",
    "problem",
    "refuse",
}
#: What tells a programmer that the code is wrong, and no user.
_OF_THE_CODE = {"AssertionError", "AttributeError", "NotImplementedError"}


def messages() -> dict[str, str]:
    """Return the text of each mistake, with a place where it is made."""
    return {
        text: place
        for call, name, place in _calls()
        if (name in _MISTAKES or name.endswith("Error")) and name not in _OF_THE_CODE
        if (text := _first_text(call))
    }


def events() -> dict[str, tuple[str, str]]:
    """Return the text of each event that is logged, with its level and a place."""
    return {
        text: ("error" if name == "exception" else name, place)
        for call, name, place in _calls()
        if name in _LEVELS and ast.unparse(call.func).startswith(("_log.", "_events."))
        if (text := _first_text(call))
    }


def variables() -> set[str]:
    """Return the variables of the environment that are read by name, ours by their looks too."""
    read = {
        ast.literal_eval(call.args[0])
        for call, name, _ in _calls()
        if name == "get" and ast.unparse(call.func) == "os.environ.get"
        if isinstance(call.args[0], ast.Constant)
    }
    texts = (path.read_text(encoding="utf-8") for path in _modules())
    return read | {each for text in texts for each in re.findall(r"\"(_?SIGNALS_[A-Z_]+)\"", text)}


def _modules() -> Iterator[Path]:
    for path in (path for folder in SOURCES for path in sorted(folder.rglob("*.py"))):
        if "testing" not in path.parts:
            yield path


def _calls() -> Iterator[tuple[ast.Call, str, str]]:
    for file in _modules():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                yield node, name, f"{file.relative_to(ROOT)}:{node.lineno}"


def _first_text(call: ast.Call) -> str:
    """Return the first argument that is text of more than one word, in one form."""
    for argument in call.args:
        text = re.sub(r"%[-+.\d]*[a-z]", "…", _text(argument)).strip()
        if says_something(text):
            text = re.sub(r"\s+", " ", re.sub(r"…+", "…", text))
            without = _REMEDY.sub("", text)
            return without if says_something(without) else text
    return ""


def says_something(text: str) -> bool:
    """Whether a text has words of its own, and does not only pass on what others say."""
    return len(re.findall(r"[A-Za-z]{2,}", text)) > 1


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.IfExp(body=first, orelse=second):
            return _text(first) or _text(second)
    return "…"
