"""A store whose file is deleted or replaced under a daemon: all that it held is kept."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from parts.command import Signals
from parts.daemon import Daemon
from parts.running import MINUTE, Rig
from signals_core import Unavailable
from signals_core.store import Store, StoreError

PROJECT = """
version: 1
sources: {shop: {type: sqlite, config: {path: shop.db}}}
sinks: {lake: {type: file, config: {path: gone/lake.jsonl}}}
---
name: shop.stock
metric: {name: shop.stock, type: GAUGE}
schedule: {interval: 1s}
sinks: [lake]
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""


def replace_file(folder: Path) -> None:
    """Put a copy in the place of a store's file, as a restored backup is put there."""
    shutil.copyfile(folder / "store.db", folder / "store.db.copy")
    (folder / "store.db.copy").rename(folder / "store.db")


def delete_file(folder: Path) -> None:
    """Delete a store's file, and leave what is beside it."""
    (folder / "store.db").unlink()


def delete_folder(folder: Path) -> None:
    """Delete the whole state directory."""
    shutil.rmtree(folder)


@pytest.mark.parametrize("displace", [replace_file, delete_file, delete_folder])
def test_a_store_that_is_displaced(rig: Rig, displace) -> None:
    """A runner notices it, and when it stops it leaves a copy of all, what is pending included."""
    rig.sink.down = Unavailable("shut")
    runner = rig.start(rig.snapshot())
    rig.advance(3 * MINUTE)
    runner.check_place()
    displace(rig.folder)
    rig.advance(3 * MINUTE)
    with pytest.raises(StoreError, match=r"store\.db was deleted or replaced while signals ran"):
        runner.check_place()
    with pytest.raises(StoreError, match=r"all that it held is in .*/store\.db\.saved-2026"):
        rig.stop()
    (copy,) = rig.folder.glob("store.db.saved-*")
    again = rig.folder.with_name("again")
    again.mkdir()
    copy.rename(again / "store.db")
    with Store.open(again) as store:
        (line,) = store.outbox()
        assert line.metrics >= 6


def test_a_daemon_whose_store_is_deleted(signals: Signals, project: Path) -> None:
    """`signals run` stops by itself with 3 and the remedy, which loses nothing."""
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT)
    state = project / ".signals"
    with Daemon(project) as daemon:
        daemon.until(lambda: json.loads(signals("history", "--json").stdout or "[]"))
        (state / "store.db").unlink()
        assert daemon.process.wait(60) == 3
        *_, said = daemon.said.splitlines()
    assert "ERROR signals.run: .signals/store.db was deleted or replaced while signals ran" in said
    assert "remove store.db, store.db-wal and store.db-shm, move the copy to their place" in said
    (copy,) = state.glob("store.db.saved-*")
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (state / name).unlink(missing_ok=True)
    copy.rename(state / "store.db")
    (sink,) = json.loads(signals("status", "--json").stdout)["sinks"]
    assert sink["pending"] >= 1
