"""`signals init`: a first project, and what it says to type next."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parts.command import SIGNALS, Signals, environment
from signals_core.cli.init import _write
from signals_core.cli.sample import make_users

MADE = [".gitignore", "signals.yaml", "signups.yaml", "users.db", "users.yaml"]


def next_of(said: str) -> list[str]:
    """Return the commands that `init` says to type next."""
    lines = said.partition("Next, one after the other:\n\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip().partition("   ")[0] for line in lines]


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Iterator[Any]:
    """Return a function that types a line into a shell and returns what it printed, and its code.

    The shell keeps its folder and its environment, as a person's does.
    """
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "signals"
    program.write_text(f'#!/bin/sh\nexec {" ".join(SIGNALS)} "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        ["sh"],
        cwd=project,
        env=environment({"PATH": path}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin and process.stdout
        lines = iter(process.stdout.readline, "")

        def type_in(line: str) -> tuple[int, list[str]]:
            process.stdin.write(f'{line}\necho "exit $?"\n')
            printed: list[str] = []
            for said in lines:
                if said.startswith("exit "):
                    return int(said.split()[1]), printed
                printed.append(said.rstrip("\n"))
            raise AssertionError(printed)

        yield type_in
        process.stdin.close()


def names_in(folder: Path) -> list[str]:
    """Return what is in a folder, by name."""
    return sorted(each.name for each in folder.iterdir())


def values(lines: list[str]) -> list[int]:
    """Return the values of the metrics among lines."""
    return [json.loads(line)["value"] for line in lines if line.startswith("{")]


def test_what_it_says_to_type_next_works(signals: Signals, project: Path, shell: Any) -> None:
    """The commands printed at the end, typed as they stand, give numbers at once."""
    done = signals("init", "my shop")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"Made in my shop: {', '.join(MADE)}\n")
    assert max(map(len, done.stderr.splitlines())) <= 80
    enter, invoke, run, status = next_of(done.stderr)
    assert (enter, run) == ("cd 'my shop'", "signals run")
    assert shell(enter) == (0, [])
    code, printed = shell(invoke)
    assert code == 0
    assert len(values(printed)) == 3 and all(value > 0 for value in values(printed))
    # A person ends it by Ctrl-C, once there is something to see.
    code, printed = shell(
        f"{run} >out 2>err & until grep -q uuid out; do sleep 0.1; done; kill -INT $!; wait $!"
    )
    assert code == 0
    code, printed = shell(status)
    assert code == 0
    assert printed[0].startswith("core.signups.1d\t")


def test_it_is_right(signals: Signals, project: Path) -> None:
    """What is written has no mistakes, and every file is what a person may read and edit."""
    assert signals("init").returncode == 0
    assert names_in(project) == MADE
    done = signals("config", "validate", "--strict")
    assert (done.returncode, done.stderr) == (0, "2 collectors, no mistakes\n")
    assert signals("config", "check").returncode == 0
    umask = os.umask(0)
    os.umask(umask)
    assert {file.stat().st_mode & 0o777 for file in project.iterdir()} == {0o666 & ~umask}


def test_the_last_week_has_numbers(signals: Signals, project: Path) -> None:
    """A first run has a week of windows to make up, and each has numbers."""
    signals("init")
    start = str(datetime.now(UTC).date() - timedelta(days=7))
    done = signals("backfill", "core.signups.1d", "--start", start)
    assert done.returncode == 0
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({each["grain_datetime"] for each in counts}) == 7
    assert f"window: {{start: {start}}}" in (project / "signups.yaml").read_text()


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2026, 1, 1), date(2027, 3, 28)])
def test_users_of_any_day(tmp_path: Path, day: date) -> None:
    """Whenever it is made, every plan has sign-ups on every day, and the numbers go on to move."""
    now = datetime.combine(day, datetime.min.time(), UTC)
    make_users(tmp_path / "users.db", now)
    with closing(sqlite3.connect(tmp_path / "users.db")) as database:
        plans = "SELECT date(signed_up), count(DISTINCT plan) FROM users GROUP BY 1 ORDER BY 1"
        found = database.execute(plans).fetchall()
    assert [row[1] for row in found] == [3] * 90
    assert (found[0][0], found[-1][0]) == (
        str(day - timedelta(days=60)),
        str(day + timedelta(days=29)),
    )


@pytest.mark.parametrize("name", MADE)
def test_it_never_overwrites(signals: Signals, project: Path, name: str) -> None:
    """A file that is in the way is named, and nothing is made."""
    (project / name).write_text("mine")
    done = signals("init")
    assert done.returncode == 2
    assert f"Error: {name} is there already (nothing was made; " in done.stderr
    assert names_in(project) == [name]
    assert (project / name).read_text() == "mine"


def test_twice(signals: Signals, project: Path) -> None:
    """The second time is a mistake that says so, and changes nothing."""
    signals("init", "shop")
    before = {file: file.stat().st_mtime_ns for file in (project / "shop").iterdir()}
    done = signals("init", "shop")
    assert done.returncode == 2
    assert "shop/signals.yaml" in done.stderr and "are there already" in done.stderr
    assert {file: file.stat().st_mtime_ns for file in (project / "shop").iterdir()} == before


def test_inside_a_project(signals: Signals, project: Path) -> None:
    """A project has one signals.yaml: none is made inside another one."""
    signals("init")
    done = signals("init", "deeper/down")
    assert done.returncode == 2
    assert f"is inside the project of {project / 'signals.yaml'}" in done.stderr
    assert not (project / "deeper").exists()


def test_all_or_nothing(project: Path) -> None:
    """When a file cannot be written, those before it are gone again, and the folder too."""

    def fail(file: Path) -> None:
        raise OSError(28, "No space left on device")

    (project / "there").mkdir()
    writers = {"signals.yaml": Path.touch, "users.db": fail}
    for folder in (project / "new" / "folder", project / "there"):
        with pytest.raises(OSError, match="No space"):
            _write(folder, writers)
    assert names_in(project) == ["there"]
    assert names_in(project / "there") == []


def test_a_move_that_fails(project: Path) -> None:
    """What was moved to its place already is taken back, where a later move fails."""
    (project / "zz").mkdir()
    (project / "zz" / "in-the-way").touch()
    with pytest.raises(OSError, match="directory"):
        _write(project, {"aa": Path.touch, "signals.yaml": Path.touch, "zz": Path.touch})
    assert names_in(project) == ["zz"]


def test_no_permission(signals: Signals, project: Path) -> None:
    """A folder that cannot be written is one line that says what to do: exit 2."""
    done = signals("init", "/proc/shop")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("/proc/shop: ")
    assert done.stderr.endswith("(nothing was made; name another)\n")


def test_a_type_that_is_not_installed(signals: Signals, project: Path) -> None:
    """Where the plugin of a source is missing, one line says how to install it."""
    program = (
        "import sys; from signals_core import registry; from signals_core.cli.main import run\n"
        "registry._entry_points = lambda broken: ()\n"
        "sys.exit(run(['init', '--source', 'postgres']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "the source type 'postgres' is not installed (pip install signals-postgres)\n"
    )
    assert names_in(project) == []


def _filled(folder: Path, **known: str) -> str:
    """Return the example of an environment, filled in."""
    lines = (folder / ".env.example").read_text().splitlines()
    names = [line.partition("=")[0] for line in lines if not line.startswith("#")]
    assert names == list(known)
    return "".join(f"{name}='{value}'\n" for name, value in known.items())


def test_ones_own_postgres(signals: Signals, project: Path, shell: Any, database: str) -> None:
    """With `--source postgres` the commands give a number of one's own database."""
    done = signals("init", "--source", "postgres")
    copy, put, check, invoke = next_of(done.stderr)
    assert shell(copy)[0] == 0
    (project / ".env").write_text(_filled(project, DATABASE_URI=database))
    for command in (put, "signals config validate --strict", check):
        assert shell(command)[0] == 0
    code, printed = shell(invoke)
    assert code == 0
    assert any(value > 0 for value in values(printed))
    example = project / "signups.yaml.example"
    code, printed = shell(f"signals config validate --strict {example.name}")
    assert (code, printed) == (0, ["1 collector, no mistakes"])


def test_ones_own_mongodb(
    signals: Signals, project: Path, shell: Any, mongo_server: str, mongo_client: Any,
    mongo_database: str,
) -> None:  # fmt: skip
    """With `--source mongodb` the commands give a number of one's own collection."""
    mongo_client[mongo_database]["things"].insert_many([{}, {}, {}])
    done = signals("init", "--source", "mongodb")
    copy, put, check, invoke = next_of(done.stderr)
    assert shell(copy)[0] == 0
    known = {
        "MONGODB_URI": mongo_server,
        "MONGODB_DATABASE": mongo_database,
        "MONGODB_COLLECTION": "things",
    }
    (project / ".env").write_text(_filled(project, **known))
    for command in (put, "signals config validate --strict", check):
        code, printed = shell(command)
        assert code == 0, printed
    code, printed = shell(invoke)
    assert (code, values(printed)) == (0, [3])
    assert shell("signals config invoke core.documents.created.1d")[0] == 0
