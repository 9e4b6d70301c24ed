"""The daemon and the commands beside it, each a process of its own, with short intervals."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from parts.command import SIGNALS, Signals, environment
from parts.receiver import Receiver

PROJECT = """
version: 1
sources:
  shop: {type: sqlite, config: {path: shop.db}}
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
TODAY = datetime.now(UTC).date()
DAYS = [str(TODAY - timedelta(days=ago)) for ago in (4, 3, 2, 1)]
ORDERS = f"""
name: shop.orders.1d
id: orders
metric: {{name: shop.orders, type: COUNT}}
grain: 1d
window: {{start: {DAYS[0]}}}
schedule: {{interval: 1s}}
source:
  use: shop
  config:
    sql: |
      SELECT country, count(*) AS value FROM orders
      WHERE at >= :window_start AND at < :window_end
      GROUP BY country ORDER BY country
"""
#: One that fails on the day with an order from xx.
BROKEN = ORDERS.replace("count(*)", "sum(json(CASE country WHEN 'xx' THEN '{' ELSE '1' END))")
#: One that fails on the day with an order from xx.
BROKEN = ORDERS.replace("count(*)", "sum(json(CASE country WHEN 'xx' THEN '{' ELSE '1' END))")
SLOW = """
name: shop.slow
metric: {name: shop.slow, type: GAUGE}
schedule: {interval: 1s}
source:
  use: shop
  config:
    sql: >
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
      SELECT count(*) AS value FROM n
"""
SLOW = """
name: shop.slow
metric: {name: shop.slow, type: GAUGE}
schedule: {interval: 1s}
source: {type: postgres, config: {uri: "${SLOW_URI}", sql: "SELECT 1 AS value FROM pg_sleep(600)"}}
"""
BAD = """
name: shop.bad
metric: {name: shop.bad, type: GUAGE}
schedule: {interval: 1s}
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""

WAIT = 90.0  # longer than the longest pause between two deliveries


class Daemon:
    """`signals run` in a folder, with what it says on standard error."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._file = folder.with_name(f"stderr.{time.monotonic_ns()}")
        with self._file.open("w") as file:
            self.process = subprocess.Popen(
                [*SIGNALS, "run", *arguments],
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )

    @property
    def said(self) -> str:
        return self._file.read_text()

    def tell(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        return self.process.wait(WAIT)


Run = Callable[..., Daemon]
Slow = Callable[[str], Daemon]


@pytest.fixture
def run(shop: Path) -> Iterator[Run]:
    """Return a function that starts `signals run`; what still runs at the end is stopped."""
    started: list[Daemon] = []

    def start(*arguments: str) -> Daemon:
        started.append(Daemon(shop, *arguments))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.end()


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project on a database of four days, an order on each, with a snapshot."""
    with sqlite3.connect(project / "shop.db") as database:
        database.execute("CREATE TABLE orders (at TEXT, country TEXT)")
        countries = ["fr", "xx", "fr", "de"]
        orders = zip(DAYS, countries, strict=True)
        database.executemany("INSERT INTO orders VALUES (? || ' 10:00:00', ?)", orders)
    database.close()
    (project / "signals.yaml").write_text(PROJECT)
    (project / "stock.yaml").write_text(STOCK)
    return project


def until(what: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + WAIT
    while not (found := what()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the metrics in a file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def is_running(daemon: Daemon) -> bool:
    """Whether a daemon has said that it runs."""
    assert daemon.process.poll() is None, daemon.said
    return "signals.run: runs" in daemon.said


def status_of(signals: Signals, name: str, kind: str = "collectors") -> dict[str, Any]:
    """Return what `status --json` says of one collector or sink."""
    done = signals("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {each[kind[:-1]]: each for each in json.loads(done.stdout)[kind]}
    return dict(found[name])


def window_of(day: str) -> str:
    """Return the window of a day as commands write it."""
    return f"{day}T00:00:00Z/{date.fromisoformat(day) + timedelta(days=1)}T00:00:00Z"


def interrupted(shop: Path, *arguments: str, after: str) -> tuple[int, str]:
    """Run a command, interrupt it when it has said something, and return its code and words."""
    with subprocess.Popen(
        [*SIGNALS, *arguments], cwd=shop, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said = ""
        while after not in said:
            said += process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    return process.returncode, said


def events(said: str) -> list[str]:
    """Return log lines without their times."""
    return [line.partition("Z ")[2] for line in said.splitlines()]


CATCHES_UP = (
    f"shop.orders.1d: makes up 4 windows, from {DAYS[0]}T00:00:00Z to {TODAY}T00:00:00Z",
    "shop.orders.1d: has caught up",
)


def test_all_is_well(run: Run, signals: Signals, shop: Path) -> None:
    """A daemon reads, delivers and stops with 0; it says when it starts, catches up and stops."""
    (shop / "orders.yaml").write_text(ORDERS)
    daemon = run()
    until(lambda: len({metric["uuid"] for metric in lines(shop / "lake.jsonl")}) >= 6)
    assert status_of(signals, "shop.orders.1d")["state"] == "ok"
    daemon.tell()
    assert daemon.end() == 0
    assert events(daemon.said) == [
        "INFO signals.run: runs 2 collectors, state in .signals",
        *(f"INFO signals.run: {event}" for event in CATCHES_UP),
        "INFO signals.run: stopping",
        "INFO signals.run: stopped",
    ]
    days = [metric["grain_datetime"][:10] for metric in lines(shop / "lake.jsonl")]
    assert [day for day in days if day in DAYS][:4] == DAYS


@pytest.fixture
def slow(run: Run, shop: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Slow:
    """Return a function that starts a daemon and returns it while a query of it is under way."""
    (shop / "slow.yaml").write_text(SLOW)
    monkeypatch.setenv("SLOW_URI", database)

    def start(deadline: str) -> Daemon:
        daemon = run("--deadline", deadline)
        until(lambda: is_read(database))
        return daemon

    return start


def is_read(database: str) -> bool:
    """Whether the slow query is under way at the server."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%'"
            " AND pid <> pg_backend_pid() AND application_name LIKE 'signals % shop.slow'"
        )
        return found.rowcount > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_during_a_slow_query(
    slow: Slow, signals: Signals, database: str, number: int
) -> None:
    """A read is ended at the server once the deadline has passed, and the daemon exits with 0."""
    daemon = slow("300ms")
    daemon.tell(number)
    assert daemon.end() == 0
    assert not is_read(database)
    (latest, *_) = json.loads(signals("history", "shop.slow", "--json").stdout)
    assert latest["outcome"] == "cancelled"


def test_a_second_signal(slow: Slow) -> None:
    """A second signal ends the daemon at once, with 130."""
    daemon = slow("1h")
    until(lambda: daemon.process.poll() is not None or daemon.tell())
    assert daemon.end() == 130


def test_two_daemons(run: Run, shop: Path) -> None:
    """A state directory that is in use is exit 3 with the remedy; one that waits gets its turn."""
    first = run()
    until(lambda: is_running(first))
    second = run()
    assert second.end() == 3
    (line,) = events(second.said)
    assert line == (
        f"ERROR signals.run: the state directory .signals is in use by process "
        f"{first.process.pid} on {os.uname().nodename} (stop it, wait for it with --wait-lock, or "
        "name another with --state-dir)"
    )
    third, fourth = run("--wait-lock", "1h"), run("--wait-lock", "1h")
    until(lambda: "waits: " in third.said and "waits: " in fourth.said)
    fourth.tell()
    assert fourth.end() == 0
    first.tell()
    until(lambda: is_running(third))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda file: file.write_bytes(b"damaged" * 1000), "is damaged: "),
        (lambda file: _set_version(file, 999), "newer"),
        (lambda file: (file.unlink(), file.mkdir()), ""),
    ],
    ids=["damaged", "newer", "folder"],
)
def test_an_unusable_store(
    run: Run, signals: Signals, shop: Path, harm: Callable[[Path], Any], words: str
) -> None:
    """A store that cannot be used is one line with the remedy and exit 3, for all commands."""
    daemon = run()
    until(lambda: is_running(daemon))
    daemon.tell()
    assert daemon.end() == 0
    file = shop / ".signals" / "store.db"
    for log in file.parent.glob("store.db-*"):
        log.unlink()
    harm(file)
    again = run()
    assert again.end() == 3
    (line,) = events(again.said)
    assert words in line and "store.db" in line
    for command in (["status"], ["history", "x"], ["outbox", "list"], ["outbox", "retry", "lake"]):
        done = signals(*command)
        assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr


def _set_version(file: Path, version: int) -> None:
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def test_an_invalid_collector(run: Run, signals: Signals, shop: Path) -> None:
    """A collector with a mistake is left out and named, also by status, while the others run."""
    (shop / "bad.yaml").write_text(BAD)
    (shop / "waiting.yaml").write_text(STOCK.replace("stock", "waiting") + "owner: ${NOBODY_SET}")
    daemon = run()
    until(lambda: lines(shop / "lake.jsonl"))
    assert [line for line in events(daemon.said) if "ERROR" in line] == [
        (
            "ERROR signals.run: bad.yaml:3: metric.type: 'GUAGE' is none of its values (did you "
            "mean GAUGE?)"
        ),
        (
            "ERROR signals.run: waiting.yaml:6: owner: the environment variable NOBODY_SET is not "
            "set (set it, or give a default as in ${NAME:-default})"
        ),
        "ERROR signals.run: left out: shop.bad, shop.waiting",
    ]
    assert "runs 1 collector, state in .signals" in daemon.said
    shown = signals("status").stdout
    assert "shop.bad\tleft out" in shown
    assert "shop.waiting\tleft out" in shown
    assert "bad.yaml:3: metric.type: 'GUAGE' is none of its values" in shown
    assert "waiting.yaml:6: owner: " in shown
    assert len(json.loads(signals("status", "--json").stdout)["problems"]) == 2


@pytest.mark.parametrize(
    ("file", "text", "arguments"),
    [
        ("bad.yaml", BAD, ["--strict"]),
        ("waiting.yaml", STOCK.replace("stock", "w") + "owner: ${NOBODY_SET}", ["--strict"]),
        ("signals.yaml", PROJECT.replace("version: 1", "version: 1\nsink: {}"), []),
        ("signals.yaml", PROJECT.replace("shop.db", "${NOBODY_SET}"), []),
        ("stock.yaml", BAD, []),
        ("more.yaml", "", [".", "nowhere.yaml"]),
    ],
    ids=["strict", "unset", "project", "project-unset", "none-left", "no-such-path"],
)
def test_refusing_to_start(
    run: Run, shop: Path, file: str, text: str, arguments: list[str]
) -> None:
    """With a mistake that is nobody's own, or any with `--strict`, it does not start: exit 2."""
    (shop / file).write_text(text)
    daemon = run(*arguments)
    assert daemon.end() == 2
    assert events(daemon.said)[-1] == "ERROR signals.run: not started: mend what is named above"
    assert not (shop / ".signals").exists()


def test_json_lines(run: Run, shop: Path) -> None:
    """With `--log-format json` each line is an event, from the first mistake to the stop."""
    (shop / "bad.yaml").write_text(BAD)
    (shop / "orders.yaml").write_text(BROKEN)
    daemon = run("--log-format", "json")
    until(lambda: "has caught up" in daemon.said)
    other = run("--log-format", "json")
    assert other.end() == 3
    daemon.tell()
    assert daemon.end() == 0
    found = [json.loads(line) for line in (daemon.said + other.said).splitlines()]
    assert all(each.keys() == {"time", "level", "logger", "message"} for each in found)
    assert {"error", "info"} <= {each["level"] for each in found}
    but = f"{CATCHES_UP[1]}, but for failed windows: 1"
    assert {CATCHES_UP[0], but} <= {each["message"] for each in found}


def test_a_failed_window(run: Run, signals: Signals, shop: Path) -> None:
    """A window that fails is named by status with why and what to do; `--failed` makes it up."""
    (shop / "orders.yaml").write_text(BROKEN)
    daemon = run()
    until(lambda: len(json.loads(signals("history", "orders", "--json").stdout or "[]")) >= 4)
    found = status_of(signals, "shop.orders.1d")
    assert (found["state"], found["missing"]) == ("failing", 1)
    assert found["first_missing"] == window_of(DAYS[1])
    (failed,) = found["failed"]
    assert failed["window"] == window_of(DAYS[1])
    (remark,) = found["remarks"]
    assert remark.startswith(
        f"shop.orders.1d: window {window_of(DAYS[1])}: malformed JSON (tried once, again at "
    )
    plan = ["backfill", "shop.orders.1d", "--start", DAYS[0], "--plan"]
    states = [line.split("\t")[3] for line in signals(*plan).stdout.splitlines()]
    assert states == ["read", "failed: malformed JSON", "read", "read"]
    assert len(signals(*plan, "--failed").stdout.splitlines()) == 1
    daemon.tell()
    daemon.end()
    again = signals("backfill", "shop.orders.1d", "--start", DAYS[0], "--failed")
    assert again.returncode == 1
    assert again.stderr.splitlines()[-2:] == [
        "shop.orders.1d: 1 of 1 window: 1 failed",
        "shop.orders.1d: `signals history shop.orders.1d` says why",
    ]
    (shop / "orders.yaml").write_text(ORDERS)
    again = signals("backfill", "shop.orders.1d", "--start", DAYS[0], "--failed")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr.splitlines()[-1] == "shop.orders.1d: 1 of 1 window: 1 read"
    assert status_of(signals, "shop.orders.1d")["failed"] == []


def test_nothing_runs(run: Run, signals: Signals, shop: Path) -> None:
    """Where nothing runs status says so, and which windows are missing."""
    (shop / "orders.yaml").write_text(ORDERS)
    done = signals("backfill", "orders", "--start", DAYS[0], "--end", DAYS[2])
    assert done.returncode == 0, done.stderr
    shown = signals("status")
    assert shown.returncode == 0
    assert (
        f"shop.orders.1d: 2 windows missing, {DAYS[2]}T00:00:00Z/{TODAY}T00:00:00Z: no process "
        "runs (start `signals run`, which makes them up)"
    ) in shown.stdout.splitlines()
    assert "nothing runs (start `signals run`)" in shown.stderr
    found = status_of(signals, "shop.orders.1d")
    assert (found["state"], found["missing"]) == ("late", 2)
    assert found["read_until"] == f"{DAYS[2]}T00:00:00Z"
    assert found["late_seconds"] > 86_400


def test_backfill_without_a_daemon(signals: Signals, shop: Path) -> None:
    """Without a daemon the command reads and delivers itself; again, nothing has changed."""
    (shop / "orders.yaml").write_text(ORDERS)
    command = ["backfill", "shop.orders.1d", "--start", DAYS[0], "--end", DAYS[3]]
    plan = signals(*command, "--plan")
    assert [line.split("\t")[3] for line in plan.stdout.splitlines()] == ["missing"] * 3
    assert not (shop / ".signals").exists()
    done = signals(*command)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == "shop.orders.1d: 3 of 3 windows: 3 read"
    assert [each["grain_datetime"][:10] for each in lines(shop / "lake.jsonl")] == DAYS[:3]
    done = signals(*command)
    assert done.stderr.splitlines()[-1] == "shop.orders.1d: 3 of 3 windows: 3 unchanged"
    assert len(lines(shop / "lake.jsonl")) == 3
    done = signals(*command, "--sink", "lake")
    assert (done.returncode, len(lines(shop / "lake.jsonl"))) == (0, 6)
    done = signals(*command, "--resend")
    assert (done.returncode, len(lines(shop / "lake.jsonl"))) == (0, 9)


def several(shop: Path) -> None:
    """Write two windowed collectors, one of which fails on a day, beside the snapshot."""
    (shop / "orders.yaml").write_text(ORDERS)
    broken = BROKEN.replace("shop.orders.1d", "shop.broken.1d").replace("id: orders\n", "")
    (shop / "broken.yaml").write_text(broken)


EACH = [
    "shop.broken.1d: 4 of 4 windows: 3 read, 1 failed",
    "shop.broken.1d: `signals history shop.broken.1d` says why",
    "shop.orders.1d: 4 of 4 windows: 4 read",
]


def test_backfill_of_several(signals: Signals, shop: Path) -> None:
    """A glob reads several collectors, tells of each, and exits with the worst of their codes."""
    several(shop)
    command = ["backfill", "shop.*", "--start", DAYS[0]]
    plan = signals(*command, "--plan")
    names = [line.split("\t")[0] for line in plan.stdout.splitlines()]
    assert names == ["shop.broken.1d"] * 4 + ["shop.orders.1d"] * 4
    done = signals(*command)
    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()
    assert said[0] == (
        "passed over: shop.stock has no windows: what a snapshot missed cannot be made up"
    )
    assert said[-3:] == EACH
    assert "shop.orders.1d: 2 of 4 windows" in said
    assert len(lines(shop / "lake.jsonl")) == 7


def test_backfill_of_several_beside_a_daemon(run: Run, signals: Signals, shop: Path) -> None:
    """Beside a live daemon a glob leaves it a request for each collector, and waits for all."""
    several(shop)
    daemon = run()
    until(lambda: is_running(daemon))
    before = str(TODAY - timedelta(days=10))
    done = signals("backfill", "shop.*", "--start", before, "--end", DAYS[2])
    assert done.returncode == 1
    broken, _, orders = done.stderr.splitlines()[-3:]
    assert broken.startswith("shop.broken.1d: 8 of 8 windows: ")
    assert orders.startswith("shop.orders.1d: 8 of 8 windows: ")


def test_backfill_of_several_with_a_mistake(signals: Signals, shop: Path) -> None:
    """Of what a glob picks the sound ones are read, those with a mistake are named: exit 2."""
    (shop / "orders.yaml").write_text(ORDERS)
    (shop / "bad.yaml").write_text(BAD)
    done = signals("backfill", "*", "--start", DAYS[0])
    assert done.returncode == 2
    assert done.stderr.splitlines()[1].startswith("bad.yaml:3: metric.type: ")
    assert done.stderr.splitlines()[-2:] == [
        EACH[-1],
        "shop.bad: not read: mend what is named above",
    ]


def test_several_sinks_that_take_nothing(signals: Signals, shop: Path) -> None:
    """A sink that takes nothing from one collector is no reason not to read the others."""
    several(shop)
    (shop / "bin").mkdir()
    text = (shop / "broken.yaml").read_text().replace("'xx'", "'yy'")
    (shop / "broken.yaml").write_text(text + "sinks: {bin: {type: file, config: {path: bin}}}\n")
    done = signals("backfill", "*", "--start", DAYS[0])
    assert done.returncode == 1
    broken, orders = done.stderr.splitlines()[-2:]
    assert broken.startswith("shop.broken.1d: ")
    assert broken.endswith("it stays pending")
    assert orders == EACH[-1]


def test_backfill_beside_a_daemon(run: Run, signals: Signals, shop: Path) -> None:
    """Beside a live daemon it is the daemon that reads, and the command that waits and tells."""
    (shop / "orders.yaml").write_text(ORDERS)
    daemon = run()
    until(lambda: is_running(daemon))
    before = str(TODAY - timedelta(days=10))
    done = signals("backfill", "shop.orders.1d", "--start", before, "--end", DAYS[0])
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "shop.orders.1d: 6 of 6 windows: 6 read"
    left = signals("backfill", "orders", "--start", DAYS[0], "--resend", "--detach")
    assert left.returncode == 0
    process = f"process {daemon.process.pid} on {os.uname().nodename}"
    assert left.stderr == f"shop.orders.1d: left to {process}\n"
    until(lambda: [each["collector"] for each in lines(shop / "lake.jsonl")].count("orders") == 8)


def test_backfill_goes_on(signals: Signals, shop: Path) -> None:
    """Interrupted, it exits with 130; asked for the same again, it reads what is left."""
    (shop / "orders.yaml").write_text(ORDERS)
    start = str(TODAY - timedelta(days=1500))
    command = ["backfill", "shop.orders.1d", "--start", start, "--end", DAYS[0]]
    code, said = interrupted(shop, *command, after=" of 1496 windows\n")
    assert code == 130
    assert "shop.orders.1d: ask for the same again to go on\n" in said
    read = len(json.loads(signals("history", "orders", "--json", "--limit", "9999").stdout))
    assert 0 < read < 1496
    done = signals(*command)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("shop.orders.1d: 1496 of 1496 windows: ")
    runs = json.loads(signals("history", "orders", "--json", "--limit", "9999").stdout)
    assert len({each["window"] for each in runs}) == 1496
    assert len(runs) <= 1497


def test_backfill_that_a_sink_does_not_take(signals: Signals, shop: Path) -> None:
    """When a sink does not take what was read it is exit 1, and it stays pending."""
    (shop / "orders.yaml").write_text(ORDERS)
    (shop / "lake.jsonl").mkdir()
    done = signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("it stays pending")
    found = status_of(signals, "lake", "sinks")
    assert (found["state"], found["pending"]) == ("failing", 4)
    assert found["remarks"][0].startswith("sink lake fails since ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shop.stock"], "shop.stock has no windows: what a snapshot missed cannot be made up"),
        (["nobody"], "there is no collector 'nobody'; there are:\n  shop.orders.1d\n  shop.stock"),
        ([], "name one of the 2 collectors, or several as in '*':\n  shop.orders.1d\n  shop.stock"),
        (["shop.s*"], "shop.stock has no windows"),
        (["orders", "--sink", "x"], "shop.orders.1d has no sink 'x'; it has: lake"),
        (["orders", "--end", "2026-01-01T01:00Z"], "there is no whole window of 1d between"),
        (["orders", "--end", "soon"], "'soon' is no date or time"),
    ],
    ids=["snapshot", "unknown", "none", "glob", "sink", "empty", "time"],
)
def test_backfill_of_what_is_not(
    signals: Signals, shop: Path, arguments: list[str], words: str
) -> None:
    """What cannot be backfilled is a mistake that says why: exit 2."""
    (shop / "orders.yaml").write_text(ORDERS)
    done = signals("backfill", "--start", "2026-01-01", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_backfill_of_a_mistaken_collector(signals: Signals, shop: Path) -> None:
    """A collector that is not there because of a mistake is told by its mistake."""
    (shop / "bad.yaml").write_text(BAD)
    done = signals("backfill", "shop.bad", "--start", "2026-01-01")
    assert done.returncode == 2
    assert done.stderr.startswith("bad.yaml:3: metric.type: 'GUAGE' is none of its values")


def test_explain(signals: Signals, shop: Path) -> None:
    """A number is traced back to collector, window, query and run, and on to each sink."""
    (shop / "orders.yaml").write_text(ORDERS)
    signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    metric = lines(shop / "lake.jsonl")[0]
    done = signals("explain", metric["uuid"])
    assert done.returncode == 0
    for words in (
        "metric     shop.orders country=fr",
        "value      1",
        f"version    {metric['timestamp']}",
        "collector  shop.orders.1d (id orders)",
        f"window     {window_of(DAYS[0])}",
        f"window_start = {DAYS[0]}T00:00:00Z",
        "delivered  to lake at ",
    ):
        assert words in done.stdout
    (found,) = json.loads(signals("explain", "--json", metric["uuid"]).stdout)
    assert (found["metric"], found["id"]) == (metric, "orders")
    assert list(found["delivered"]) == ["lake"]


def test_explain_of_an_unknown_uuid(signals: Signals, shop: Path) -> None:
    """A uuid that no reading holds is exit 2, and one that is none is too."""
    (shop / "orders.yaml").write_text(ORDERS)
    signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    uuid = "f8640bb5-3e60-58f1-a7a9-8d0105299d0f"
    done = signals("explain", uuid)
    assert done.returncode == 2
    assert f"no reading in .signals holds the metric {uuid}" in done.stderr
    assert signals("explain", "f8640bb5").returncode == 2


def test_history(signals: Signals, shop: Path) -> None:
    """History is found by name and by id, newest first; who has not run yet is no mistake."""
    (shop / "orders.yaml").write_text(ORDERS)
    signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    by_name = signals("history", "shop.orders.1d").stdout
    assert by_name == signals("history", "orders").stdout
    assert [line.split("\t")[2] for line in by_name.splitlines()] == [
        window_of(day) for day in reversed(DAYS)
    ]
    assert len(signals("history", "orders", "--limit", "2").stdout.splitlines()) == 2
    new = signals("history", "shop.stock")
    assert (new.returncode, new.stdout, new.stderr) == (0, "", "shop.stock has not run yet\n")
    unknown = signals("history", "nobody")
    assert unknown.returncode == 2
    assert "there is no collector 'nobody'; there are:\n  shop.orders.1d" in unknown.stderr


def test_history_of_several(signals: Signals, shop: Path) -> None:
    """History of a glob shows the runs of several collectors as they happened, newest first."""
    several(shop)
    signals("backfill", "orders", "--start", DAYS[2])
    signals("backfill", "shop.broken.1d", "--start", DAYS[2])
    signals("backfill", "orders", "--start", DAYS[0], "--end", DAYS[1])
    runs = json.loads(signals("history", "shop.*", "--json").stdout)
    names = [each["collector"] for each in runs]
    assert names == ["shop.orders.1d"] + ["shop.broken.1d"] * 2 + ["shop.orders.1d"] * 2
    nameless = signals("history")
    assert nameless.returncode == 2
    assert "name one of the 3 collectors, or several as in '*':" in nameless.stderr
    done = signals("history", "*", "--limit", "1")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == "shop.stock has not run yet\n"


def test_retrying_dead_letters(run: Run, signals: Signals, shop: Path, receiver: Receiver) -> None:
    """What a receiver refused arrives by `outbox retry` after the receiver was mended."""
    sink = f"lake: {{type: http, config: {{uri: '{receiver.uri}'}}}}"
    (shop / "signals.yaml").write_text(
        PROJECT.replace("lake: {type: file, config: {path: lake.jsonl}}", sink)
    )
    (shop / "orders.yaml").write_text(ORDERS)
    receiver.reject("shop.orders")
    daemon = run()
    until(lambda: is_running(daemon))
    until(lambda: status_of(signals, "lake", "sinks")["dead_letters"] == 4)
    assert not [each for each in receiver.metrics() if each["name"] == "shop.orders"]
    assert "sink lake refused 4 metrics for good" in signals("status").stdout
    letters = json.loads(signals("outbox", "list", "--json").stdout)["dead_letters"]
    assert {letter["collector"] for letter in letters} == {"orders"}
    assert all("no shop.orders here" in letter["reason"] for letter in letters)
    assert signals("outbox", "list").stdout.count("refused by lake: ") == 4
    receiver.behave()
    done = signals("outbox", "retry", "lake")
    assert (done.returncode, done.stderr) == (0, "pending for lake again: 4 metrics\n")
    until(lambda: [each["name"] for each in receiver.metrics()].count("shop.orders") == 4)
    assert status_of(signals, "lake", "sinks")["dead_letters"] == 0


def test_an_orphaned_sink(run: Run, signals: Signals, shop: Path) -> None:
    """What is pending for a sink that was removed is kept until `outbox drop` ends it."""
    (shop / "orders.yaml").write_text(ORDERS)
    (shop / "lake.jsonl").mkdir()
    signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    refused = signals("outbox", "drop", "lake", "--yes")
    assert refused.returncode == 2
    assert "configured, and getting what is pending: lake (to end that, " in refused.stderr
    (shop / "signals.yaml").write_text(PROJECT.replace("lake", "pond"))
    daemon = run()
    until(lambda: is_running(daemon))
    until(lambda: status_of(signals, "lake", "sinks")["state"] == "orphaned")
    assert "the sink lake is no longer configured and has 4 metrics pending" in daemon.said
    assert signals("outbox", "drop", "lake").returncode == 130
    done = signals("outbox", "drop", "lake", "--yes")
    assert (done.returncode, done.stderr) == (0, "dropped for lake: 4 metrics\n")
    assert signals("outbox", "list").stdout.count("not kept for lake: orders, 1 metric of ") == 4
    assert "sink lake misses 4 readings" in signals("status").stdout
    unknown = signals("outbox", "drop", "sea")
    assert unknown.returncode == 2
    assert "there is no sink 'sea'; there are:\n  lake\n  pond" in unknown.stderr


def test_sinks_by_a_glob(signals: Signals, shop: Path) -> None:
    """`outbox` takes a glob for its sinks; unnamed it takes a single one, or lists those it has."""
    (shop / "orders.yaml").write_text(ORDERS)
    signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    assert signals("outbox", "retry").stderr == "pending for lake again: 0 metrics\n"
    pond = "sinks:\n  pond: {type: file, config: {path: pond.jsonl}}\n"
    text = PROJECT.replace("sinks:\n", pond, 1).replace("[lake]", "[lake, pond]")
    (shop / "signals.yaml").write_text(text)
    signals("backfill", "shop.orders.1d", "--start", DAYS[0])
    nameless = signals("outbox", "drop", "--yes")
    assert nameless.returncode == 2
    assert "name one of the 2 sinks, or several as in '*':\n  lake\n  pond\n" in nameless.stderr
    listed = signals("outbox", "list", "p*").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["pond"]
    done = signals("outbox", "retry", "*")
    assert done.stderr.splitlines() == [
        "pending for lake again: 0 metrics",
        "pending for pond again: 0 metrics",
    ]


HOLDER = """
import sys
from pathlib import Path
from signals_core.store import Store
with Store.open(Path(".signals")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "command", [["outbox", "retry", "lake"], ["backfill", "orders", "--start", DAYS[0]]]
)
def test_the_daemon_ends_meanwhile(signals: Signals, shop: Path, command: list[str]) -> None:
    """What was left to a process that ends before it does it, the command does itself."""
    (shop / "orders.yaml").write_text(ORDERS)
    signals("backfill", "orders", "--start", DAYS[3])
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=shop, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        assert holder.stdout
        assert holder.stdin
        holder.stdout.readline()
        with subprocess.Popen([*SIGNALS, *command], cwd=shop, env=environment()) as waiting:
            until(lambda: _is_asked(shop))
            holder.stdin.close()
            assert waiting.wait(WAIT) == 0


def _is_asked(shop: Path) -> bool:
    connection = sqlite3.connect(shop / ".signals" / "store.db")
    (count,) = connection.execute("SELECT count(*) FROM request WHERE finished IS NULL").fetchone()
    connection.close()
    return bool(count)


def test_no_store_yet(signals: Signals, shop: Path, tmp_path: Path) -> None:
    """Commands that read or change a store never make one: exit 3, and where to look."""
    for command in (["status"], ["outbox", "list"], ["outbox", "retry", "lake"]):
        done = signals(*command, "--state-dir", tmp_path / "typo")
        assert done.returncode == 3
        assert done.stderr == (
            f"there is no store in {tmp_path / 'typo'} (nothing has run there yet; name the state "
            "directory with --state-dir)\n"
        )
    assert not (tmp_path / "typo").exists()


def test_a_state_directory_alone(signals: Signals, shop: Path, tmp_path: Path) -> None:
    """`--state-dir` alone is enough to see runs and sinks; without it and a project: exit 2."""
    (shop / "orders.yaml").write_text(ORDERS)
    signals("backfill", "orders", "--start", DAYS[0])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = signals("status", "--state-dir", shop / ".signals", cwd=elsewhere)
    assert done.returncode == 0
    assert done.stdout.startswith("shop.orders.1d\tunknown\t")
    assert "without a project no windows are shown (name one with -c)" in done.stderr
    lost = signals("status", cwd=elsewhere)
    assert lost.returncode == 2
    assert "name it with -c, or name the state directory with --state-dir)" in lost.stderr
