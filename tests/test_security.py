"""What SECURITY.md says that nobody can do, where no part's own tests show it."""

from __future__ import annotations

import re
import sqlite3
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.command import Signals
from parts.daemon import Daemon, until
from signals_core.phrases import printable

ROOT = Path(__file__).parents[1]
SECURITY = ROOT / "SECURITY.md"
#: Sets a terminal's title, clears it, colours it by one character, and turns text around.
CONTROLS = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r"

PROJECT = """
version: 1
sources: {shop: {type: sqlite, config: {path: shop.db}}}
sinks: {lake: {type: file, config: {path: lake.jsonl}}}
defaults: {sinks: [lake], schedule: {interval: 1s}}
"""
STOCK = """
name: shop.stock
metric: {name: shop.stock, type: GAUGE}
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""
#: A plugin that leaves a file when it is imported.
TELLTALE = "from pathlib import Path\nPath('was-here').touch()\n"

PLUGIN = """
from signals_core import hookimpl

@hookimpl
def signals_register_sources(register):
    pass
"""


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project with a collector."""
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT)
    (project / "stock.yaml").write_text(STOCK)
    return project


def claims() -> Iterator[tuple[str, str]]:
    """Yield each test that SECURITY.md names, as file and function."""
    named = r"`((?:tests|plugins)/[\w/]+\.py)::([\w, :]+)`"
    for file, names in re.findall(named, SECURITY.read_text()):
        for name in re.split(r"[, :]+", names):
            yield file, name


def test_each_claim_has_its_test() -> None:
    """Every row of the threat model that says "cannot" names tests, and they are there."""
    named = list(claims())
    assert len(named) > 30
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(), (file, name)
    rows = [line for line in SECURITY.read_text().splitlines() if line.startswith("| cannot ")]
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"`(tests|plugins)/", row), row


# A hostile row


@given(st.text())
def test_what_is_shown_is_not_obeyed(text: str) -> None:
    """No control but line break and tab is printed, and what is no control stays."""
    shown = printable(text)
    assert not {each for each in shown if unicodedata.category(each) == "Cc"} - {"\n", "\t"}
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_no_row_controls_a_terminal(signals: Signals, shop: Path, database: str) -> None:
    """What a database's error quotes of a row is spelled out: in logs, status, history and JSON."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE stock (value text)")
        connection.execute("INSERT INTO stock VALUES (%s)", (CONTROLS,))
    query = "sql: 'SELECT value::int FROM stock'"
    source = f"source: {{type: postgres, config: {{uri: {database}, {query}}}}}"
    (shop / "stock.yaml").write_text(f"{STOCK.partition('source:')[0]}{source}\n")
    with Daemon(shop) as daemon:
        daemon.until_said("invalid input syntax")
        said = [daemon.said]
        assert daemon.stop() == 0
    for command in ("status", "status --json", "history shop.stock", "config invoke shop.stock"):
        done = signals(*command.split())
        said.append(done.stdout + done.stderr)
    for text in said:
        assert "owned" in text
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


# A reader of the state directory


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_state_is_for_its_owner(shop: Path, umask: int) -> None:
    """Whatever the umask, a daemon's state directory and all files in it are its owner's alone."""
    with Daemon(shop, umask=umask) as daemon:
        until((shop / "lake.jsonl").exists)
        state = shop / ".signals"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert daemon.stop() == 0
    assert {"store.db", "store.db-wal", "store.db-shm", "lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


# An editor of YAML


@pytest.mark.parametrize("where", ["sub/signals.yaml", "collector.yaml"])
def test_who_may_add_a_collector_cannot_add_code(signals: Signals, shop: Path, where: str) -> None:
    """Only the project's own file has plugins imported: not one deeper down, and no collector."""
    (shop / "sub").mkdir()
    for folder in (shop, shop / "sub"):
        (folder / "mine.py").write_text(TELLTALE)
    keys = "version: 1\n" if where.startswith("sub") else STOCK.replace("shop.stock", "shop.other")
    (shop / where).write_text(f"{keys}plugins: [./mine.py]\n")
    assert signals("config", "validate").returncode == 2
    assert not list(shop.rglob("was-here"))


def test_who_may_edit_the_project_file_can(signals: Signals, shop: Path) -> None:
    """Plugins of the project's own file run with whatever loads it, even `config validate`."""
    (shop / "mine.py").write_text(f"{TELLTALE}{PLUGIN}")
    (shop / "signals.yaml").write_text(f"{PROJECT}plugins: [./mine.py]\n")
    assert signals("config", "validate").returncode == 0
    assert (shop / "was-here").exists()
