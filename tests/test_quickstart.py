"""The quickstart: what a newcomer sees first works, and so does all that it says to try next."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"
HINT = "python3 noxfile.py -s quickstart -- "


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a function that runs the shop, in a copy of its folder."""
    folder = shutil.copytree(
        QUICKSTART,
        tmp_path_factory.mktemp("quickstart") / "shop",
        ignore=lambda *_: ["metrics.jsonl"],
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, folder / "shop.py", *arguments],
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.metrics = folder / "metrics.jsonl"
    return run


@pytest.fixture(scope="module")
def shown(shop):
    """Return what the quickstart prints."""
    return shop()


def test_main_job(shop, shown):
    """Three collectors give their metrics, as a table and in the file."""
    kept = [json.loads(line, parse_float=str) for line in shop.metrics.read_text().splitlines()]
    names = ["shop.customers", "shop.orders.count", "shop.orders.revenue", "shop.signups"]
    assert sorted({metric["name"] for metric in kept}) == names
    table = [line.split() for line in shown.splitlines() if line.startswith("shop.")]
    rows = [row for row in table if not row[0].endswith(":")]
    assert len(rows) == len(kept)
    for row, metric in zip(rows, kept, strict=True):
        assert row[:2] == [metric["name"], metric["tags"]["country"]]
        assert str(metric["value"]) in row[2:]


def test_what_to_try_next(shop, shown):
    """Every command that it says to try works."""
    hints = [line.partition(HINT)[2] for line in shown.splitlines() if HINT in line]
    assert len(hints) >= 3
    for hint in hints:
        assert shop(*shlex.split(hint))
