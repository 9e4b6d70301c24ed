"""The commands: what they print, where, and how they exit."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from parts.command import SIGNALS, Signals, environment

PROJECT = """
version: 1
timezone: Europe/Paris
sources:
  shop: {type: sqlite, config: {path: shop.db}}
sinks:
  lake: {type: file, config: {path: lake.jsonl}}
defaults: {tags: {env: prod}, sinks: [lake], owner: data-team}
"""
ORDERS = """
name: shop.orders.1d
grain: 1d
window: {start: 2026-01-01}
source:
  use: shop
  config:
    sql: |
      SELECT country, count(*) AS orders FROM orders
      WHERE at >= :window_start AND at < :window_end
      GROUP BY country ORDER BY country
metrics:
  - {name: shop.orders.count, type: COUNT, value: orders}
"""
STOCK = """
name: shop.stock
metric: {name: shop.stock, type: GAUGE, grain: 1h}
schedule: {interval: 1m}
source: {use: shop, config: {sql: SELECT 5 AS value}}
sinks: {console: {type: console}}
"""


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project of two collectors on a SQLite database."""
    with sqlite3.connect(project / "shop.db") as database:
        database.execute("CREATE TABLE orders (at TEXT, country TEXT)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?)",
            [("2026-01-01 10:00:00", "fr"), ("2026-01-01 11:00:00", "fr"), ("2026-01-02", "de")],
        )
    database.close()
    (project / "signals.yaml").write_text(PROJECT)
    (project / "orders.yaml").write_text(ORDERS)
    (project / "stock.yaml").write_text(STOCK)
    return project


def at_terminal(project: Path, *arguments: str) -> str:
    """Run signals with a terminal as standard output, and return what it prints there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*SIGNALS, *arguments],
        cwd=project,
        env=environment({"TERM": "xterm", "COLUMNS": "120"}),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        printed = b""
        while piece := _read(ours):
            printed += piece
        process.communicate()
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.decode()).replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def test_invoke_delivers_the_window_of_a_day(signals: Signals, shop: Path) -> None:
    """`invoke --at` reads the window that holds that local day and delivers it."""
    done = signals("config", "invoke", "shop.orders.1d", "--at", "2026-01-01")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        (
            "shop.orders.1d: 1 metric from 1 row of 2026-01-01 00:00 to 2026-01-02 00:00 "
            "Europe/Paris (2025-12-31T23:00:00Z to 2026-01-01T23:00:00Z)"
        ),
        "shop.orders.1d: delivered to lake",
    ]
    (metric,) = map(json.loads, (shop / "lake.jsonl").read_text().splitlines())
    assert (metric["value"], metric["tags"]) == (2, {"country": "fr", "env": "prod"})


def test_dry_run(signals: Signals, shop: Path) -> None:
    """`--dry-run` shows query and window on standard error, metrics on standard output, no more."""
    done = signals("config", "invoke", "shop.orders.1d", "--at", "2026-01-01", "--dry-run")
    assert done.returncode == 0
    assert json.loads(done.stdout)["value"] == 2
    assert "SELECT country, count(*) AS orders FROM orders" in done.stderr
    assert "2025-12-31T23:00:00Z" in done.stderr
    assert not (shop / "lake.jsonl").exists()


def test_at_only_prints_for_a_snapshot(signals: Signals, shop: Path) -> None:
    """For a snapshot collector `--at` picks the bucket and delivers nothing."""
    (shop / "stock.yaml").write_text(STOCK.replace("sinks: {console: {type: console}}", ""))
    done = signals("config", "invoke", "shop.stock", "--at", "2026-01-01T12:30")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["grain_datetime"] == "2026-01-01T11:00:00Z"
    assert done.stderr.splitlines()[-1] == "shop.stock: nothing was delivered"
    assert not (shop / "lake.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "at", "words"),
    [
        ("shop.orders.1d", "yesterday", "'yesterday' is no date or time"),
        ("shop.orders.1d", "2999-01-01", "is not due before"),
    ],
)
def test_at_that_cannot_be(signals: Signals, shop: Path, name: str, at: str, words: str) -> None:
    """A time that is none, or whose window is not over, is a mistake of usage."""
    done = signals("config", "invoke", name, "--at", at)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_glob(signals: Signals, shop: Path) -> None:
    """NAME may be a glob, which picks every collector it matches."""
    done = signals("config", "invoke", "shop.*", "--dry-run")
    assert done.returncode == 0
    assert "shop.orders.1d: the query returned no rows, so there are no metrics" in done.stderr
    assert json.loads(done.stdout)["name"] == "shop.stock"


def test_unknown_name(signals: Signals, shop: Path) -> None:
    """A name that is none lists those there are."""
    done = signals("config", "invoke", "shop.order")
    assert done.returncode == 2
    assert (
        "there is no collector 'shop.order' (did you mean shop.orders.1d?); there are:\n"
        "  shop.orders.1d\n  shop.stock"
    ) in done.stderr


def test_list(signals: Signals, shop: Path) -> None:
    """`list` prints a plain line a collector in a pipe, and JSON on request."""
    lines = signals("config", "list").stdout.splitlines()
    assert lines[0].split("\t") == [
        "shop.orders.1d",
        "shop.orders.count",
        "1d Europe/Paris",
        "as due",
        "shop",
        "lake",
        "data-team",
        "orders.yaml:2",
    ]
    listed = json.loads(signals("config", "list", "--json").stdout)
    assert [each["name"] for each in listed] == ["shop.orders.1d", "shop.stock"]


def test_show(signals: Signals, shop: Path) -> None:
    """`show` prints the merged collector, masked, with where each value comes from."""
    (shop / "signals.yaml").write_text(PROJECT.replace("owner: data-team", "owner: 'a://b:pw-9@c'"))
    shown = signals("config", "show", "shop.orders.1d").stdout
    places = {line.split("  # ")[1]: line for line in shown.splitlines() if "  # " in line}
    assert places["orders.yaml:3"].startswith("grain: 1d ")
    assert "  env: prod" in places["signals.yaml:8"] or "a://b:***@c" in shown
    assert "pw-9" not in shown
    assert "# signals.yaml:3" in shown


def test_check(signals: Signals, shop: Path) -> None:
    """`check` connects, compares columns, and fails when something is wrong."""
    done = signals("config", "check")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "collector shop.orders.1d: ok",
            "collector shop.stock: ok",
            "sink lake: ok",
            "sink console: ok",
        ],
    )
    (shop / "orders.yaml").write_text(ORDERS.replace("value: orders", "value: order"))
    done = signals("config", "check")
    assert done.returncode == 1
    assert (
        "collector shop.orders.1d: the result has no column 'order' for the metric "
        "'shop.orders.count' (it has: country, orders)"
    ) in done.stdout


def test_project_is_found_upward(signals: Signals, shop: Path) -> None:
    """Without a path the project is found upward from the working directory."""
    deeper = shop / "a" / "b"
    deeper.mkdir(parents=True)
    done = signals("config", "validate", cwd=deeper)
    assert (done.returncode, done.stderr) == (0, "2 collectors, no mistakes\n")


def test_no_project(signals: Signals, project: Path) -> None:
    """Where there is no project, that is said with a remedy."""
    done = signals("config", "validate")
    assert done.returncode == 2
    assert "there is no signals.yaml here or in a folder above (go to the " in done.stderr


def test_unset_variable(signals: Signals, shop: Path) -> None:
    """An unset variable is a warning in `validate`, an error with `--strict` and elsewhere."""
    (shop / "stock.yaml").write_text(
        STOCK.replace("SELECT 5 AS value", "'SELECT ${SHOP_STOCK} AS value'")
    )
    lenient = signals("config", "validate")
    assert lenient.returncode == 0
    assert lenient.stderr.startswith("warning: stock.yaml:5: source.config.sql: ")
    assert "SHOP_STOCK" in lenient.stderr
    assert signals("config", "validate", "--strict").returncode == 2
    assert signals("config", "invoke", "shop.stock").returncode == 2
    assert signals("config", "validate", "--strict", env={"SHOP_STOCK": "1"}).returncode == 0


def test_console_at_a_terminal(shop: Path) -> None:
    """At a terminal the console sink prints an aligned table."""
    lines = at_terminal(shop, "config", "invoke", "shop.stock").splitlines()
    assert len(lines) == 2
    assert lines[0].split() == ["metric", "env", "value", "start"]
    assert lines[1].split()[:3] == ["shop.stock", "prod", "5"]


def test_table_at_a_terminal(shop: Path) -> None:
    """At a terminal listings are tables with a header."""
    lines = at_terminal(shop, "config", "list").splitlines()
    assert lines[0].split()[:2] == ["NAME", "METRICS"]
    assert len(lines) == 3


def test_plugins_of_a_type(signals: Signals) -> None:
    """`plugins TYPE` shows the fields of a type and a collector to paste."""
    shown = signals("plugins", "sqlite").stdout
    assert "sql" in shown
    assert "type: sqlite" in shown
    unknown = signals("plugins", "sqlight")
    assert unknown.returncode == 2
    assert "there is no type 'sqlight'" in unknown.stderr


def test_plugins_of_a_type_as_json(signals: Signals) -> None:
    """`plugins TYPE --json` holds the fields with what their class says of them."""
    (shown,) = json.loads(signals("plugins", "http", "--json").stdout)
    fields = {field["name"]: field for field in shown["fields"]}
    assert (shown["kind"], shown["query"]) == ("sink", [])
    assert fields["token"] == {
        "name": "token",
        "type": "Secret | None",
        "required": False,
        "default": None,
        "description": "A bearer token.",
    }
    assert (fields["verify_tls"]["default"], fields["timeout"]["default"]) == (True, "30s")


def test_plugins_tells_what_a_field_is(signals: Signals) -> None:
    """Below a field stands the text that stands below it in its class, or in that one's base."""
    lines = [line.strip() for line in signals("plugins", "http").stdout.splitlines()]
    assert lines[lines.index("token            a secret, default none") + 1] == "A bearer token."
    assert "The most metrics in one batch." in lines


@pytest.mark.parametrize("arguments", [[], ["ksh"]])
def test_completion_of_no_shell(signals: Signals, arguments: list[str]) -> None:
    """Without a shell that is known, the known ones are named."""
    done = signals("completion", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(": bash, fish, zsh")


def test_standard_output_that_is_full(signals: Signals, shop: Path) -> None:
    """A listing that cannot be written is one clear line: exit 1."""
    with Path("/dev/full").open("w") as full:
        done = signals("config", "list", stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Error: standard output: No space left on device"


def test_standard_output_that_is_closed(signals: Signals, shop: Path) -> None:
    """Without a standard output the sink says so, and nothing else is said."""
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *SIGNALS, "config", "invoke", "shop.stock"]
    done = subprocess.run(
        command, cwd=shop, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "shop.stock: sink console: standard output is closed",
        "shop.stock: no sink has it",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(signals: Signals, shop: Path, shell: str) -> None:
    """A shell gets a completion script, which completes the names of collectors."""
    assert "_SIGNALS_COMPLETE" in signals("completion", shell).stdout
    words = {"COMP_WORDS": "signals config invoke shop.o", "COMP_CWORD": "3"}
    completed = signals(env={**words, "_SIGNALS_COMPLETE": "bash_complete"})
    assert completed.stdout.strip() == "plain,shop.orders.1d"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["config", "--help"], ["config", "invoke", "-h"]]
)
def test_help(signals: Signals, arguments: list[str]) -> None:
    """Help is printed on standard output and is no error."""
    done = signals(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: signals")


@pytest.mark.parametrize("arguments", [["nonsense"], ["config", "invoke", "--nonsense"]])
def test_usage(signals: Signals, arguments: list[str]) -> None:
    """A mistake of usage exits with 2 and says what was wrong."""
    done = signals(*arguments)
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_version(signals: Signals) -> None:
    """`--version` prints the version of signals-core."""
    from signals_core import __version__

    assert signals("--version").stdout.split()[-1] == __version__


def test_invoke_beside_a_state_directory(signals: Signals, shop: Path) -> None:
    """`invoke` says when a state directory knows the collector, and names backfill."""
    quiet = signals("config", "invoke", "shop.orders.1d", "--at", "2026-01-01")
    assert "backfill" not in quiet.stderr
    arguments = ("shop.orders.1d", "--start", "2026-01-01", "--end", "2026-01-02")
    assert signals("backfill", *arguments).returncode == 0
    told = signals("config", "invoke", "shop.orders.1d", "--at", "2026-01-01")
    assert told.stderr.splitlines()[-1] == (
        "shop.orders.1d: .signals knows this collector: what invoke sends is outside what is kept "
        "there (signals backfill reads a window again and keeps it)"
    )
