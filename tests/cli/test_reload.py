"""SIGHUP to a process: what its files say now is taken up, as far as it is right."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parts.command import Signals
from parts.daemon import Daemon, until

PROJECT = """
version: 1
plugins: [./mine.py]
sources:
  shop: {type: sqlite, config: {path: shop.db}}
sinks:
  lake: {type: file, config: {path: lake.jsonl}}
defaults: {sinks: [lake], schedule: {interval: 1s}}
"""
STOCK = """
name: shop.stock
metric: {name: shop.stock, type: GAUGE}
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""
PRICE = STOCK.replace("stock", "price")
MINE = """
from attrs import define
from signals_core import Source, hookimpl

@define
class Mine(Source):
    def read(self, request):
        yield {"value": 1}

@hookimpl
def signals_register_sources(register):
    register("mine", Mine)
"""


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project of one collector."""
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT)
    (project / "mine.py").write_text(MINE)
    (project / "stock.yaml").write_text(STOCK)
    return project


@pytest.fixture
def daemon(shop: Path) -> Iterator[Daemon]:
    """Yield a daemon that runs."""
    with Daemon(shop) as made:
        made.until_said("signals.run: runs")
        yield made


def reloaded(daemon: Daemon) -> list[str]:
    """Have files read again, and return what is said of it."""
    before = len(daemon.said)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "reloaded" in daemon.said[before:] and daemon.said.endswith("\n"))
    said = [line.partition("Z ")[2] for line in daemon.said[before:].splitlines()]
    return [line.replace(" signals.run:", "") for line in said]


def values(shop: Path, name: str = "shop.stock") -> list[Any]:
    """Return the values of a metric that were delivered."""
    file = shop / "lake.jsonl"
    metrics = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return [metric["value"] for metric in metrics if metric["name"] == name]


def row(signals: Signals, name: str = "shop.stock") -> dict[str, Any]:
    """Return what `status` says of a collector."""
    found = json.loads(signals("status", "--json").stdout)["collectors"]
    return next(each for each in found if each["collector"] == name)


def test_what_changes_is_taken_up(daemon: Daemon, shop: Path) -> None:
    """Collectors are added, changed and removed, and one line says which."""
    assert reloaded(daemon) == ["INFO reloaded: 1 collector unchanged"]
    (shop / "price.yaml").write_text(PRICE)
    assert reloaded(daemon) == ["INFO reloaded: added shop.price; 1 collector unchanged"]
    until(lambda: values(shop, "shop.price"))
    (shop / "price.yaml").write_text(PRICE.replace("5", "6"))
    assert reloaded(daemon) == ["INFO reloaded: changed shop.price; 1 collector unchanged"]
    until(lambda: values(shop, "shop.price")[-1] == 6)
    (shop / "price.yaml").unlink()
    assert reloaded(daemon) == ["INFO reloaded: removed shop.price; 1 collector unchanged"]
    count = len(values(shop))
    until(lambda: len(values(shop)) > count + 2)
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            STOCK.replace("GAUGE", "GUAGE"),
            "stock.yaml:3: metric.type: 'GUAGE' is none of its values (did you mean GAUGE?)",
        ),
        ("name: [", "stock.yaml:2: is no YAML: "),
        (
            STOCK.replace("shop.stock\nm", "shop.new\nid: new\nwindwo: 1\nm"),
            "stock.yaml:4: windwo: is no known key (did you mean window?)",
        ),
        (
            STOCK + "owner: ${NOBODY_SET}",
            "stock.yaml:5: owner: the environment variable NOBODY_SET is not set",
        ),
    ],
    ids=["mistake", "no YAML", "renamed", "variable"],
)
def test_a_mistake_keeps_a_collector_back(
    daemon: Daemon, shop: Path, signals: Signals, text: str, mistake: str
) -> None:
    """A collector whose file has a mistake goes on as it was and says so, until it is mended."""
    (shop / "price.yaml").write_text(PRICE)
    (shop / "stock.yaml").write_text(text)
    said = reloaded(daemon)
    assert said[0].startswith(f"ERROR {mistake}")
    assert "ERROR shop.stock: kept back: it goes on in the form that it had" in said
    assert said[-1] == "INFO reloaded: added shop.price; 1 collector unchanged"
    count = len(values(shop))
    until(lambda: len(values(shop)) > count)
    found = row(signals)
    assert found["state"] == "kept back" and found["last_run"]
    assert found["remarks"][0].startswith("shop.stock: had a mistake when it was read at ")
    (shop / "stock.yaml").write_text(STOCK.replace("5", "7"))
    assert reloaded(daemon) == ["INFO reloaded: changed shop.stock; 1 collector unchanged"]
    until(lambda: values(shop)[-1] == 7)
    assert row(signals)["state"] == "ok"


@pytest.mark.parametrize(
    "harm",
    [
        lambda shop: (shop / "signals.yaml").write_text(PROJECT + "sorces: {}"),
        lambda shop: (shop / "signals.yaml").write_text("version: ["),
        lambda shop: (shop / "stock.yaml").unlink(),
    ],
    ids=["key", "no YAML", "nothing left"],
)
def test_a_mistake_for_all_changes_nothing(
    daemon: Daemon, shop: Path, signals: Signals, harm: Callable[[Path], Any]
) -> None:
    """With a mistake in signals.yaml, or nothing to run, what ran goes on, and status says so."""
    harm(shop)
    said = reloaded(daemon)
    assert said[-1] == "ERROR not reloaded, and what ran goes on: mend what is named above"
    count = len(values(shop))
    until(lambda: len(values(shop)) > count)
    (told,) = json.loads(signals("status", "--json").stdout)["reload"]
    assert told.startswith("the configuration read at ") and "was not taken up" in told
    (shop / "signals.yaml").write_text(PROJECT)
    (shop / "stock.yaml").write_text(STOCK)
    assert reloaded(daemon) == ["INFO reloaded: 1 collector unchanged"]


def test_who_was_left_out_still_is(shop: Path) -> None:
    """While what ran goes on, so is told who does not run, whatever the files say now."""
    (shop / "price.yaml").write_text(PRICE.replace("GAUGE", "GAGE"))
    with Daemon(shop, "--listen", "127.0.0.1:0") as daemon:
        daemon.until_said("signals.run: runs")
        (shop / "signals.yaml").unlink()
        assert reloaded(daemon)[-1].startswith("ERROR not reloaded")
        told = 'signals_collector_left_out{collector="shop.price"} 1.0'
        until(lambda: told in daemon.get("/metrics")[1])
        assert "signals_config_last_reload_successful 0.0" in daemon.get("/metrics")[1]


def test_strict(shop: Path) -> None:
    """With --strict any mistake is one for all."""
    with Daemon(shop, "--strict") as daemon:
        daemon.until_said("signals.run: runs")
        (shop / "price.yaml").write_text(PRICE.replace("GAUGE", "GUAGE"))
        said = reloaded(daemon)
        assert said[-1] == "ERROR not reloaded, and what ran goes on: mend what is named above"


def test_a_plugin_of_the_project(daemon: Daemon, shop: Path) -> None:
    """A plugin file that has changed is taken up with the collectors that use it."""
    (shop / "mine.yaml").write_text(
        "name: shop.mine\nmetric: {name: shop.mine, type: GAUGE}\nsource: {type: mine}"
    )
    reloaded(daemon)
    until(lambda: values(shop, "shop.mine"))
    (shop / "mine.py").write_text(MINE.replace('"value": 1', '"value": 2'))
    assert reloaded(daemon) == ["INFO reloaded: changed shop.mine; 1 collector unchanged"]
    until(lambda: values(shop, "shop.mine")[-1] == 2)


def test_signals_in_quick_succession(daemon: Daemon, shop: Path) -> None:
    """However many come at once, the last one's files are what runs, and it still stops."""
    for number in range(30):
        (shop / "price.yaml").write_text(PRICE.replace("5", str(number)))
        daemon.process.send_signal(signal.SIGHUP)
    until(lambda: values(shop, "shop.price")[-1:] == [29])
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.said


def test_a_signal_before_it_runs(daemon: Daemon, shop: Path) -> None:
    """A daemon that waits for the state directory reads its files again once it has it."""
    with Daemon(shop, "--wait-lock", "1h") as second:
        second.until_said("waits: ")
        (shop / "price.yaml").write_text(PRICE)
        second.process.send_signal(signal.SIGHUP)
        daemon.stop()
        second.until_said("reloaded: added shop.price; 1 collector unchanged")


def test_a_signal_while_it_stops(shop: Path) -> None:
    """A daemon that stops does not reload any more, and is not ended by being told to."""
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*)"
    (shop / "slow.yaml").write_text(
        "name: shop.slow\nmetric: {name: shop.slow, type: GAUGE}\n"
        f"source: {{type: sqlite, config: {{path: shop.db, sql: '{endless} AS value FROM n'}}}}"
    )
    with Daemon(shop, "--deadline", "500ms") as daemon:
        daemon.until_said("signals.run: runs")
        time.sleep(1.5)  # the slow read has begun
        daemon.process.send_signal(signal.SIGTERM)
        daemon.until_said("stopping")
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.process.wait(60) == 0
        assert "reloaded" not in daemon.said


def test_killed_while_it_reloads(shop: Path) -> None:
    """Whenever it is killed, the next one goes on with what the files say, and misses nothing."""
    for number in range(6):
        (shop / "stock.yaml").write_text(STOCK.replace("5", str(number)))
        with Daemon(shop, "--wait-lock", "10s") as daemon:
            daemon.until_said("signals.run: runs")
            (shop / "price.yaml").write_text(PRICE.replace("5", str(number)))
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(number * 0.05)
            daemon.process.kill()
    with Daemon(shop, "--wait-lock", "10s") as daemon:
        until(lambda: values(shop)[-1:] == [5] and values(shop, "shop.price")[-1:] == [5])
