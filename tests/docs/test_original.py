"""The page for users of the original says what their keys mean here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from signals_core.config import load

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-the-original.md"

SNAPSHOT = {
    "name": "example",
    "metric.name": "example",
    "metric.type": "COUNT",
    "schedule.interval": "1m",
    "source.type": "postgres",
    "source.config.uri": "postgresql://127.0.0.1/shop",
    "source.config.sql": "SELECT 1 AS value",
    "sinks.console.type": "console",
}
WINDOWED = {
    **SNAPSHOT,
    "source.config.sql": "SELECT 1 AS value WHERE :window_start < :window_end",
}


def rows() -> list[tuple[list[str], str]]:
    """Return the table of keys: the ways to write one thing there, and that of today."""
    section = PAGE.read_text().partition("\n## Keys\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if "`" in line]
    return [(line[0].split(" or "), line[1]) for line in lines if len(line) == 2]


def collector_of(folder: Path, written: str) -> str:
    """Load the example with the keys that are written between backquotes, and show it whole."""
    given = [part.partition(": ") for part in re.findall(r"`([^`]+)`", written)]
    keys = {path: yaml.safe_load(value) for path, _, value in given}
    windowed = any("window" in f"{key} {value}" for key, value in keys.items())
    (folder / "example.yaml").write_text(
        yaml.safe_dump(nested({**(WINDOWED if windowed else SNAPSHOT), **keys}))
    )
    loaded = load([folder])
    assert not [str(problem) for problem in loaded.problems]
    [each] = loaded.collectors
    return repr(each.collector)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Return a tree of mappings by dotted paths."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *holders, key = path.split(".")
        place = tree
        for holder in holders:
            place = place.setdefault(holder, {})
        held = place.get(key)
        place[key] = {**held, **value} if isinstance(held, dict) else value
    return tree


@pytest.mark.parametrize("host", [None, "", "there"])
@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][0].strip("`"))
def test_both_sides_are_one_collector(
    row: tuple[list[str], str], host: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page puts side by side is the same collector."""
    monkeypatch.delenv("HOST", raising=False)
    if host is not None:
        monkeypatch.setenv("HOST", host)
    there, here = row
    today = collector_of(tmp_path, here)
    assert [collector_of(tmp_path, way) for way in there] == [today] * len(there)


def test_all_rows_are_there() -> None:
    """The table is read whole."""
    assert len(rows()) == 11
    assert sum(len(there) for there, _ in rows()) == 15
