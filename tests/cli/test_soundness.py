"""One collector with a mistake keeps no other from being used."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from parts.command import SIGNALS, Signals, environment
from parts.daemon import Daemon
from signals_core.cli.status import seen

PROJECT = """
version: 1
sources: {shop: {type: sqlite, config: {path: shop.db}}}
sinks: {console: {type: console}}
defaults: {schedule: {interval: 1m}, sinks: [console]}
"""
COLLECTOR = """
name: NAME
metric: {name: shop.stock, type: GAUGE}
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""
WRONG = "wrong.yaml:3: metric.type: 'GAUG' is none of its values (did you mean GAUGE?)"
UNSET = (
    "waits.yaml:4: source.config.sql: the environment variable NOBODY_SET is not set (set it, or "
)
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project of a sound collector, one with a mistake, and one that lacks a variable."""
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT)
    for name in ("sound", "wrong", "waits"):
        (project / f"{name}.yaml").write_text(COLLECTOR.replace("NAME", name))
    change(project / "wrong.yaml", "GAUGE", "GAUG")
    change(project / "waits.yaml", "SELECT 5 AS value", "'SELECT ${NOBODY_SET} AS value'")
    (project / "other.yaml").write_text("kind: ConfigMap\n")
    return project


def change(file: Path, old: str, new: str) -> None:
    """Replace text in a file that has it."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_sound_one_is_invoked(signals: Signals, shop: Path) -> None:
    """`invoke NAME` tells the mistakes of others and goes on."""
    done = signals("config", "invoke", "sound")
    assert done.returncode == 0
    assert json.loads(done.stdout)["value"] == 5
    waits, wrong, *rest = done.stderr.splitlines()
    assert (waits.startswith(UNSET), wrong) == (True, WRONG)
    assert rest == ["sound: 1 metric from 1 row", "sound: delivered to console"]


@pytest.mark.parametrize("name", ["wrong", "waits"])
def test_one_with_a_mistake_is_not_invoked(signals: Signals, shop: Path, name: str) -> None:
    """`invoke NAME` of what has a mistake, or lacks a variable, says what it is: exit 2."""
    done = signals("config", "invoke", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert WRONG in done.stderr
    assert UNSET in done.stderr
    assert done.stderr.splitlines()[-1] == f"{name}: not run: mend what is named above"


def test_a_glob_runs_what_is_sound_of_it(signals: Signals, shop: Path) -> None:
    """Of what a glob picks the sound ones are read, and the exit code tells of the others."""
    done = signals("config", "invoke", "*s*")
    assert done.returncode == 2
    assert json.loads(done.stdout)["collector"] == "sound"
    assert signals("config", "invoke", "so*").returncode == 0


def test_show(signals: Signals, shop: Path) -> None:
    """`show` shows what is sound, and tells the mistake of what is not."""
    assert signals("config", "show", "sound").returncode == 0
    wrong = signals("config", "show", "wrong")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert WRONG in wrong.stderr


def test_check_and_list(signals: Signals, shop: Path) -> None:
    """`check` and `list` do what they can and exit with 2."""
    checked = signals("config", "check")
    assert checked.returncode == 2
    assert checked.stdout.splitlines() == ["collector sound: ok", "sink console: ok"]
    assert WRONG in checked.stderr
    assert UNSET in checked.stderr
    listed = signals("config", "list")
    assert listed.returncode == 2
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()] == ["sound", "waits"]


@pytest.mark.parametrize("command", [["invoke", "sound"], ["check"]])
def test_a_mistake_of_the_project_is_one_of_all(
    signals: Signals, shop: Path, command: list[str]
) -> None:
    """What is wrong in `signals.yaml` keeps everything from running."""
    change(shop / "signals.yaml", "version: 1", "version: 2")
    done = signals("config", *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "signals.yaml:2: version: is no version known here" in done.stderr


def test_a_variable_of_a_shared_source_concerns_those_that_use_it(
    signals: Signals, shop: Path
) -> None:
    """Each collector of a shared source waits for what the source refers to, and no other does."""
    change(
        shop / "signals.yaml",
        "sources: {",
        "sources: {far: {type: sqlite, config: {path: '${NO_DB}'}}, ",
    )
    for name in ("far1", "far2"):
        (shop / f"{name}.yaml").write_text(
            COLLECTOR.replace("NAME", name).replace("use: shop", "use: far")
        )
        assert signals("config", "invoke", name).returncode == 2
    assert signals("config", "invoke", "sound").returncode == 0


def test_what_is_passed_over_is_told_on_request(signals: Signals, shop: Path) -> None:
    """`validate` and `list` name what is no collector, `invoke` with `-v` only."""
    for command in (["validate"], ["list"], ["invoke", "sound", "-v"]):
        assert "other.yaml:1: passed over" in signals("config", *command).stderr
    assert "passed over" not in signals("config", "invoke", "sound").stderr


def test_what_waits_counts(signals: Signals, shop: Path) -> None:
    """`validate` counts a collector that is not known whole without a variable."""
    (shop / "wrong.yaml").write_text(COLLECTOR.replace("NAME", "more") + "max_rows: ${NOBODY_SET}")
    done = signals("config", "validate")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "3 collectors, no mistakes"


def test_all_names_are_looked_at_before_the_first_is_read(signals: Signals, shop: Path) -> None:
    """`--at` that one of several cannot have is told before any of them is delivered."""
    first = COLLECTOR.replace("NAME", "first").replace("GAUGE}", "GAUGE}\ngrain: 1h")
    (shop / "first.yaml").write_text(first)
    done = signals("config", "invoke", "[fs]*", "--at", "2026-01-01")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith(
        "sound has no grain: there is no bucket to pick (leave --at away)"
    )


def test_many_names_are_not_all_listed(signals: Signals, shop: Path) -> None:
    """A name that is none is answered with the first names and where the others are."""
    documents = [COLLECTOR.replace("NAME", f"many.{number:03}") for number in range(100)]
    (shop / "many.yaml").write_text("---".join(documents))
    done = signals("config", "invoke", "nosuch")
    assert done.returncode == 2
    listed = [line for line in done.stderr.splitlines() if line.startswith("  ")]
    assert len(listed) == 21
    assert listed[-1] == "  … and 83 more (signals config list shows them)"


def test_sigterm_cancels_the_query(signals: Signals, shop: Path) -> None:
    """SIGTERM ends `invoke` as Ctrl-C does."""
    slow = COLLECTOR.replace("NAME", "slow").replace("SELECT 5 AS value", FOREVER)
    (shop / "slow.yaml").write_text(slow)
    arguments = [*SIGNALS, "config", "invoke", "-c", "slow.yaml"]
    with subprocess.Popen(
        arguments, cwd=shop, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said.strip()) == (130, "interrupted")


def test_status_in_a_shell_without_the_variables(signals: Signals, shop: Path) -> None:
    """What only the daemon can resolve is no mistake to `status`: nobody is called left out."""
    (shop / "wrong.yaml").unlink()
    change(shop / "waits.yaml", "type: GAUGE", "type: GAUGE, unit: '${NOBODY_SET}'")
    (shop / "built.yaml").write_text(
        COLLECTOR.replace("NAME", "built") + "timeout: ${NOBODY_SET_IT}\n"
    )
    environs = {"NOBODY_SET": "5", "NOBODY_SET_IT": "10s"}
    with Daemon(shop, env=environs) as daemon:
        daemon.until_said("runs 3 collectors")
        daemon.until(lambda: len(states(signals, environs)) == 3)
        known = daemon.until(lambda: all_ok(states(signals, environs)))
        assert known == dict.fromkeys(("built", "sound", "waits"), "ok")
        assert states(signals) == {**known, "built": "unknown"}
        shown = signals("status")
        assert "mend" not in shown.stdout and "left out" not in shown.stdout
        assert [line for line in shown.stderr.splitlines() if "not judged" in line] == [
            (
                "not judged: 3 references to what is not set in this shell "
                "(`signals config validate` names them)"
            )
        ]
        assert signals("status", env=environs).stderr == ""
        assert signals("history", "waits", "--json").returncode == 0
        daemon.stop()
    assert "left out" not in signals("status").stdout


def states(signals: Signals, env: dict[str, str] | None = None) -> dict[str, str]:
    """Return the states of all collectors, as a shell with this environment shows them."""
    found = json.loads(signals("status", "--json", env=env).stdout)
    return {each["collector"]: each["state"] for each in found["collectors"]}


def all_ok(found: dict[str, str]) -> dict[str, str]:
    """Return the states where all are ok, nothing otherwise."""
    return found if set(found.values()) == {"ok"} else {}


def test_status_on_a_full_disk(signals: Signals, shop: Path) -> None:
    """Who cannot write cannot note that, so `status` looks itself, and says it first."""
    with Daemon(shop) as daemon:
        daemon.until_said("runs 1 collector")
        daemon.stop()
    full = seen(shop / ".signals", None, free=lambda _: 4096)
    assert full.remarks[0] == (
        f"the disk of {shop / '.signals'} is full (4096 bytes are left): what is read cannot be "
        "kept, and nothing can be noted (make room on it: a running process then goes on by itself)"
    )
    assert full.as_json()["no_room"] == full.remarks[0]
    assert json.loads(signals("status", "--json").stdout)["no_room"] is None
