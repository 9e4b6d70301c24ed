"""A configuration that is read again: what has a mistake now is kept as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from signals_core.config import kept_back, load, sound

PROJECT = """
version: 1
sinks: {lake: {type: file, config: {path: %s}}}
defaults: {sinks: [lake], schedule: {interval: 1s}}
"""
STOCK = """
name: stock
metric: {name: stock, type: GAUGE}
source: {type: sqlite, config: {path: shop.db, sql: SELECT 1 AS value}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project of two files, one of which has two collectors."""
    (tmp_path / "signals.yaml").write_text(PROJECT % "old.jsonl")
    (tmp_path / "stock.yaml").write_text(STOCK)
    (tmp_path / "two.yaml").write_text(
        f"{STOCK.replace('stock', 'a')}---{STOCK.replace('stock', 'b')}"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("stock.yaml", STOCK, []),
        ("stock.yaml", None, []),
        ("stock.yaml", "nothing: here", []),
        ("stock.yaml", STOCK + "owner: ${NOBODY_SET}", ["stock"]),
        ("stock.yaml", STOCK.replace("name: stock\n", ""), ["stock"]),
        ("stock.yaml", STOCK.replace("name: stock\n", "name: new\nid: stock\n"), []),
        ("two.yaml", STOCK.replace("stock", "a") + "---" + STOCK.replace("GAUGE", "x"), ["b"]),
        ("two.yaml", "]", ["a", "b"]),
    ],
)
def test_what_is_kept(shop: Path, file: str, text: str | None, names: list[str]) -> None:
    """Kept is what ran, can no longer, and stands in a file with a mistake."""
    running = sound(load([shop]))
    assert [each.collector.name for each in running] == ["stock", "a", "b"]
    if text is None:
        (shop / file).unlink()
    else:
        (shop / file).write_text(text)
    kept = kept_back(running, load([shop]))
    assert [each.collector.name for each in kept] == names


def test_the_sinks_of_what_is_kept(shop: Path) -> None:
    """A sink that is shared is that of today for what is kept too, or two would serve one name."""
    running = sound(load([shop]))
    (shop / "signals.yaml").write_text(PROJECT % "new.jsonl")
    (shop / "stock.yaml").write_text("]")
    loaded = load([shop])
    (kept,) = kept_back(running, loaded)
    assert kept.collector.sinks["lake"] is sound(loaded)[0].collector.sinks["lake"]
    assert kept.collector.sinks["lake"] != running[0].collector.sinks["lake"]
