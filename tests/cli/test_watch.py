"""`signals status --watch`: the same facts, drawn again in place."""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from parts.command import SIGNALS, Signals, environment
from signals_core.cli.target import Target
from signals_core.cli.watch import watch

START = str(datetime.now(UTC).date() - timedelta(days=3))
PROJECT = """
version: 1
sources: {shop: {type: sqlite, config: {path: shop.db}}}
sinks: {lake: {type: file, config: {path: lake.jsonl}}}
defaults: {sinks: [lake]}
"""
ORDERS = f"""
name: shop.orders.1d
metric: {{name: shop.orders, type: COUNT}}
grain: 1d
window: {{start: {START}}}
source:
  use: shop
  config: {{sql: SELECT 1 AS value WHERE :window_start < :window_end}}
"""
#: The terminal has its cursor again, and what it showed before.
LEFT = "\x1b[?25h\x1b[?1049l"


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project of one collector."""
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT)
    (project / "orders.yaml").write_text(ORDERS)
    return project


def frames(
    shop: Path, *meanwhile: Callable[[], object], width: int = 100, height: int = 30
) -> list[str]:
    """Return the frames that are drawn, with something done after each, and then Ctrl-C."""
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=height, color_system=None)
    left = iter(meanwhile)
    drawn, pauses = [], []

    def wait(seconds: float) -> None:
        drawn.append(file.getvalue())
        file.seek(0)
        file.truncate()
        pauses.append(seconds)
        next_one = next(left, None)
        if next_one is None:
            raise KeyboardInterrupt
        next_one()

    watch(console, Target([shop]), wait)
    assert file.getvalue().endswith(LEFT)
    assert all(seconds >= 2 for seconds in pauses)
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame) for frame in drawn]


def test_it_goes_on(signals: Signals, shop: Path) -> None:
    """A state directory that is not there yet is said, and shown from when it is there."""
    before, after = frames(shop, lambda: signals("backfill", "--start", START))
    assert "there is no store in " in before
    assert "shop.orders.1d" in after
    assert re.search(r"COLLECTOR +STATE +LAST RUN", after)
    assert "no process has the state directory" in after


def test_it_survives(signals: Signals, shop: Path) -> None:
    """Whatever happens to the store or the project meanwhile is said in its place."""
    signals("backfill", "--start", START)
    store, project = shop / ".signals" / "store.db", shop / "signals.yaml"
    steps = [
        lambda: project.write_text(PROJECT.replace("version: 1", "version: 2")),
        lambda: (project.write_text(PROJECT), (shop / "orders.yaml").write_text("name: [")),
        lambda: store.write_bytes(b"damaged" * 1000),
    ]
    first, wrong, broken, damaged = frames(shop, *steps)
    assert "shop.orders.1d  ok" in first
    assert "version: is no version known here" in " ".join(wrong.split())
    assert "orders.yaml:" in " ".join(broken.split())
    assert "is damaged" in " ".join(damaged.split())


def test_what_does_not_fit(signals: Signals, shop: Path) -> None:
    """Where there is more than fits, what is wrong comes first, and what is cut is counted."""
    signals("backfill", "--start", START)
    for number in range(30):
        text = ORDERS.replace("shop.orders.1d", f"shop.n{number}.1d")
        (shop / f"n{number}.yaml").write_text(text)
    (frame,) = frames(shop, height=12)
    shown = frame.splitlines()
    assert len(shown) == 12
    assert "no process has the state directory" in shown[2]
    assert "shop.n0.1d" in shown[5]
    assert "shop.orders.1d" not in frame
    assert re.fullmatch(r"… \d\d more lines *", shown[-1])


def test_at_a_terminal(signals: Signals, shop: Path) -> None:
    """At a terminal it draws in place, and Ctrl-C ends it with 0 and the screen as it was."""
    signals("backfill", "--start", START)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*SIGNALS, "status", "--watch"],
        cwd=shop,
        env=environment({"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        drawn = b""
        deadline = time.monotonic() + 60
        while b"no process has" not in drawn and time.monotonic() < deadline:
            drawn += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        while piece := _read(ours):
            drawn += piece
        _, said = process.communicate()
    os.close(ours)
    assert (process.returncode, said) == (0, "")
    assert b"shop.orders.1d  ok" in drawn
    assert b"\x1b[2J" not in drawn.partition(b"shop.orders")[2]  # which would flicker
    assert drawn.decode().endswith(LEFT)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_in_a_pipe(signals: Signals, shop: Path, more: list[str]) -> None:
    """Without a terminal it is a mistake that says what to do instead."""
    done = signals("status", "--watch", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--watch draws at a terminal (for a program: call `signals status --json`" in done.stderr


def test_without_a_project(project: Path, signals: Signals) -> None:
    """Where nothing leads to a state directory, that is said before anything is drawn."""
    ours, theirs = pty.openpty()
    done = signals("status", "--watch", stdout=theirs)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert "there is no signals.yaml here" in done.stderr
