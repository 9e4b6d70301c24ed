"""`pause` and `resume`, obeyed by a live process, or by the next one."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from parts.command import Signals
from parts.daemon import Daemon, until

PROJECT = """
version: 1
sources:
  shop: {type: sqlite, config: {path: shop.db}}
  main: {type: postgres, config: {uri: "%s"}}
sinks:
  lake: {type: file, config: {path: lake.jsonl}}
defaults: {sinks: [lake]}
"""
STOCK = """
name: shop.stock
metric: {name: shop.stock, type: GAUGE}
schedule: {interval: 1s}
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""
#: A window each second, which is due as it ends.
PULSE = """
name: shop.pulse
id: pulse
metric: {name: shop.pulse, type: SUM}
grain: 1s
window: {start: %s, grace: 0s}
source:
  use: main
  config: {sql: "SELECT extract(epoch FROM :window_end - :window_start) AS value"}
"""


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project of two collectors."""
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT % "postgresql://127.0.0.1:1/none")
    (project / "stock.yaml").write_text(STOCK)
    (project / "price.yaml").write_text(STOCK.replace("stock", "price"))
    return project


def metrics(shop: Path, name: str) -> list[dict[str, Any]]:
    """Return what was delivered of a metric."""
    file = shop / "lake.jsonl"
    found = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return [metric for metric in found if metric["name"] == name]


def status(signals: Signals) -> dict[str, dict[str, Any]]:
    """Return what `status` says of the collectors."""
    found = json.loads(signals("status", "--json").stdout)["collectors"]
    return {each["collector"]: each for each in found}


def last_query(uri: str) -> datetime | None:
    """Return when somebody else last asked a server something, of those that are connected."""
    with psycopg.connect(uri) as connection:
        found = connection.execute(
            "SELECT max(query_start) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found
    return found[0]


def seconds_pass(shop: Path, count: int) -> None:
    """Return when a collector beside has been read so many times more."""
    before = len(metrics(shop, "shop.stock"))
    until(lambda: len(metrics(shop, "shop.stock")) >= before + count)


def test_nothing_is_asked_of_a_paused_source(shop: Path, signals: Signals, database: str) -> None:
    """Until it is resumed a real server is not asked, over a kill too; then all arrives."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=3)
    (shop / "signals.yaml").write_text(PROJECT % database)
    (shop / "pulse.yaml").write_text(PULSE % start.isoformat())
    (shop / "price.yaml").unlink()
    with Daemon(shop) as daemon:
        daemon.until(lambda: len(metrics(shop, "shop.pulse")) > 3)
        done = signals("pause", "--source", "main", "--reason", "vacuum")
        assert (done.returncode, done.stderr) == (0, "source main: paused until `signals resume`\n")
        before = last_query(database)
        seconds_pass(shop, 3)
        assert last_query(database) == before
        assert "signals.run: source main: paused until it is resumed (vacuum)" in daemon.said
        daemon.process.kill()
    with Daemon(shop, "--wait-lock", "10s") as daemon:
        seconds_pass(shop, 3)
        assert last_query(database) is None
        found = status(signals)["shop.pulse"]
        assert found["state"] == "paused" and found["missing"] > 3
        assert found["paused"]["name"] == "main" and found["paused"]["reason"] == "vacuum"
        done = signals("resume")
        assert (done.returncode, done.stderr) == (0, "source main: resumed\n")
        end = datetime.now(UTC)
        daemon.until(lambda: metrics(shop, "shop.pulse")[-1]["window_end"] >= end.isoformat())
    starts = [metric["grain_datetime"] for metric in metrics(shop, "shop.pulse")]
    firsts = [datetime.fromisoformat(text) for text in dict.fromkeys(starts)]
    assert firsts == [start + timedelta(seconds=number) for number in range(len(firsts))]


def test_without_a_daemon(shop: Path, signals: Signals) -> None:
    """What is paused while nothing runs is obeyed by the next daemon, which says so."""
    done = signals("pause", "shop.p*", "--for", "1h")
    assert done.returncode == 0
    name, _, rest = done.stderr.partition(": paused until ")
    assert name == "shop.price" and rest.endswith(
        "Z\nno process has the state directory: the next `signals run` obeys\n"
    )
    listed = json.loads(signals("config", "list", "--json").stdout)
    assert {each["name"]: bool(each["paused"]) for each in listed} == {
        "shop.price": True,
        "shop.stock": False,
    }
    with Daemon(shop) as daemon:
        seconds_pass(shop, 2)
        assert "signals.run: collector shop.price: paused until " in daemon.said
        assert not metrics(shop, "shop.price")
        assert signals("resume", "shop.price").stderr == "shop.price: resumed\n"
        daemon.until(lambda: metrics(shop, "shop.price"))
        daemon.until_said("collector shop.price: resumed")
    assert "PAUSED" not in signals("config", "list").stdout


def test_a_pause_that_ends_by_itself(shop: Path, signals: Signals) -> None:
    """A pause with an end needs nobody to resume it."""
    with Daemon(shop) as daemon:
        daemon.until(lambda: metrics(shop, "shop.price"))
        signals("pause", "shop.price", "--for", "2s")
        daemon.until_said("collector shop.price: resumed")
        count = len(metrics(shop, "shop.price"))
        daemon.until(lambda: len(metrics(shop, "shop.price")) > count)
        daemon.until_said("shop.price: ticks missed while paused: ")


def test_a_backfill_says_what_it_waits_for(shop: Path, signals: Signals, database: str) -> None:
    """A backfill of what is paused waits where a daemon runs, and is refused where none does."""
    (shop / "signals.yaml").write_text(PROJECT % database)
    (shop / "pulse.yaml").write_text(PULSE % datetime.now(UTC).isoformat())
    start = datetime.now(UTC) - timedelta(minutes=1)
    end = (start + timedelta(seconds=3)).isoformat()
    past = ("backfill", "shop.pulse", "--start", start.isoformat(), "--end", end)
    signals("pause", "shop.pulse", "--reason", "vacuum")
    done = signals(*past)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "shop.pulse: the collector pulse is paused until it is resumed (vacuum): `signals resume` "
        "ends that\n"
    )
    with Daemon(shop) as daemon:
        daemon.until_said("signals.run: runs")
        signals("pause", "shop.pulse", "--for", "3s")
        done = signals(*past)
        assert done.returncode == 0
        waits = "shop.pulse: waits, for the collector pulse is paused until "
        assert done.stderr.startswith(waits)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pause"], "name one of the 2 collectors, or several as in '*'"),
        (["pause", "shop.prize"], "there is no collector 'shop.prize' (did you mean shop.price?)"),
        (["pause", "--source", "shp"], "there is no shared source 'shp' (did you mean shop?)"),
        (["pause", "shop.price", "--source", "shop"], "name collectors, or --source SOURCE"),
        (["resume", "shop.price", "--source", "shop"], "name collectors, or --source SOURCE"),
        (["pause", "shop.price", "--for", "soon"], "soon"),
    ],
)
def test_usage(shop: Path, signals: Signals, arguments: list[str], words: str) -> None:
    """What cannot be meant is said, with what there is, and nothing is paused."""
    done = signals(*arguments)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert signals("resume").stderr == "nothing is paused\n"


def test_resuming(shop: Path, signals: Signals) -> None:
    """Without a name the only pause ends; of several it is asked which one is meant."""
    assert signals("pause", "shop.price", "shop.stock").returncode == 0
    assert signals("pause", "--source", "shop").returncode == 0
    done = signals("resume")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "Error: name what is to go on; paused are:\n"
        "  shop.price, until it is resumed\n"
        "  shop.stock, until it is resumed\n"
        "  --source shop, until it is resumed\n"
    )
    assert signals("resume", "*").stderr == (
        "shop.price: resumed\n"
        "shop.stock: resumed\n"
        "shop.price: its source shop is paused still (`signals resume --source shop` ends that)\n"
        "shop.stock: its source shop is paused still (`signals resume --source shop` ends that)\n"
    )
    assert signals("resume").stderr == "source shop: resumed\n"
    assert signals("resume", "shop.price").stderr == "shop.price: was not paused\n"


def test_in_an_emergency(shop: Path, signals: Signals) -> None:
    """A configuration with mistakes keeps nobody from pausing what has run."""
    with Daemon(shop):
        until(lambda: metrics(shop, "shop.price"))
        (shop / "signals.yaml").write_text("version: [")
        done = signals("pause", "shop.price")
        assert done.returncode == 0 and done.stderr.startswith("shop.price: paused until ")
        assert signals("pause", "--source", "shop").returncode == 0
        assert signals("resume", "shop.price").stderr == "shop.price: resumed\n"
