"""Everything that the documentation shows runs, and prints what it says.

`SIGNALS_WRITE_DOCS=1 pytest tests/docs` writes into the documents what commands print now.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import pytest

from parts.command import environment
from parts.documents import Block, Terminal, blocks_of, is_shown, trimmed
from parts.postgres import _binaries
from signals_core import Metric

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/[!_]*.md"))]
EDITABLE = ROOT / "tests" / "parts" / "editable.py"
WRITES = "SIGNALS_WRITE_DOCS" in os.environ

#: What `pip` is: where the environment may be changed, pip itself.
PIP = os.environ.get("SIGNALS_DOCS_PIP") or f"{quote(sys.executable)} {quote(str(EDITABLE))}"

#: What a document may name, and the fixture that returns it: databases of the reader's own.
SERVERS = {"SHOP_URI": "database", "LAKE_URI": "database", "MONGO_URI": "mongo_server"}

#: A collector, of which an example shows some keys: one without a window, and one with.
SNAPSHOT = {
    "name": "example",
    "metric": "{name: example, type: COUNT}",
    "schedule": "{interval: 1m}",
    "source": "{type: sqlite, config: {path: shop.db, sql: SELECT 1 AS value}}",
    "sinks": "{console: {type: console}}",
}
SQL = "SELECT 1 AS value WHERE :window_start < :window_end"
WINDOWED = {
    **SNAPSHOT,
    "grain": "1d",
    "window": "{}",
    "source": f"{{type: sqlite, config: {{path: shop.db, sql: '{SQL}'}}}}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that the reader of a document works in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def terminal(folder: Path) -> Iterator[Terminal]:
    """Return a terminal in that folder, with signals, its Python, and a pip that installs there."""
    programs, site = folder.with_name("programs"), folder.with_name("site")
    programs.mkdir()
    site.mkdir()
    (programs / "pip").write_text(f'#!/bin/sh\nexec {PIP} "$@"\n')
    (programs / "pip").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    terminal = Terminal(folder, environment({"PATH": path, "PYTHONPATH": str(site)}))
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix()
)
def test_examples(
    document: Path, folder: Path, terminal: Terminal, request: pytest.FixtureRequest
) -> None:
    """The examples of a document run in order, and print what the document says."""
    text = document.read_text(encoding="utf-8")
    for name, fixture in SERVERS.items():
        if f"${name}" in text:
            uri = request.getfixturevalue(fixture)
            terminal.run(f"export {name}={quote(uri)} PATH=$PATH:{_binaries()}")
    for block in blocks_of(document):
        if block.file_name:
            file = folder / block.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        else:
            TRIALS[block.language](block, folder, terminal)


def _run_commands(block: Block, folder: Path, terminal: Terminal) -> None:
    seen = ""
    for command, expected in block.commands():
        shown = terminal.run(command, expected)
        right = is_shown(expected, shown)
        assert right or WRITES, f"{block.place}: $ {command}\n{shown}"
        printed = expected.rstrip() if right else trimmed(shown)
        seen += f"$ {command}\n" + (printed and printed + "\n")
    if seen != block.text:
        text = block.document.read_text(encoding="utf-8")
        block.document.write_text(text.replace(block.text, seen), encoding="utf-8")


def _validate_keys(block: Block, folder: Path, terminal: Terminal) -> None:
    """Validate a collector of the keys in a block and, where it lacks some, those of another."""
    rest = WINDOWED if "window" in block.text else SNAPSHOT
    own = re.findall(r"^(metric(?=s)|\w+)", block.text, re.MULTILINE)
    more = [f"{key}: {value}\n" for key, value in rest.items() if key not in own]
    file = folder.with_name("keys.yaml")
    file.write_text("".join([block.text, *more]))
    shown = terminal.run(f"signals config validate {file}")
    assert shown.endswith("1 collector, no mistakes\n"), f"{block.place}: {shown}"


def _run_program(block: Block, folder: Path, terminal: Terminal) -> None:
    program = folder.with_name("program.py")
    program.write_text(block.text)
    assert terminal.run(f"python {program}") == "", block.place


def _decode(block: Block, folder: Path, terminal: Terminal) -> None:
    for line in block.text.splitlines():
        assert Metric.decode(line.encode()).encode().decode() == line, block.place


def _read(block: Block, folder: Path, terminal: Terminal) -> None:
    """Nothing runs in a block for the reader alone."""


TRIALS = {
    "console": _run_commands,
    "json": _decode,
    "python": _run_program,
    "sh": _read,
    "text": _read,
    "yaml": _validate_keys,
}
