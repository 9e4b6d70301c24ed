"""The figures as JSON, and as the page of the documentation with its plot."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Figure, Goal, number

PAGE = Path(__file__).parent.parent / "docs/explanation/performance.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_PEERS = ("psycopg", "pymongo", "dlt", "duckdb", "query-exporter", "apscheduler", "urllib3")


def as_json(measured: Mapping[str, Figure]) -> dict[str, Any]:
    """Return the figures with what they were measured on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": dict(_versions()),
        "figures": {name: figure.as_json() for name, figure in measured.items()},
    }


def _versions() -> Iterator[tuple[str, str]]:
    for peer in _PEERS:
        try:
            yield peer, version(peer)
        except PackageNotFoundError:
            continue


def write_json(path: Path, measured: Mapping[str, Figure]) -> None:
    """Write the figures for a program."""
    path.write_text(json.dumps(as_json(measured), indent=2) + "\n")


def write_page(measured: Mapping[str, Figure]) -> None:
    """Write figures and plot into the page, between its marks; its words are written by hand."""
    facts = as_json(measured)
    write_json(PAGE.with_name("performance.json"), measured)
    plot(measured, PAGE.with_name("performance.svg"))
    used = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    told = (
        f"Measured on {facts['date']} with CPython {facts['python']} on {facts['cores']} cores; "
        f"{used}."
    )
    lines = [_BEGIN, "", told, "", *table(measured), "", _END]
    text = PAGE.read_text()
    pattern = re.compile(f"{_BEGIN}.*{_END}", re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: "\n".join(lines), text))


def table(measured: Mapping[str, Figure]) -> Iterator[str]:
    """Return the figures as lines of a Markdown table."""
    yield "| what | against | ours | other | ratio (least to greatest) | goal | what it means |"
    yield "|---|---|---|---|---|---|---|"
    for figure in measured.values():
        what, other, ours, theirs, ratio, spread, goal, met = figure.row()
        goal = f"{goal}, {met}" if met else goal
        cells = (what, other, ours, theirs, f"{ratio} ({spread})", goal, figure.meaning)
        yield f"| {' | '.join(cells)} |"


def plot(measured: Mapping[str, Figure], path: Path) -> None:
    """Draw each ratio with its spread and its goal, on one logarithmic axis."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "signals"
    from matplotlib import pyplot as plt

    figures = list(reversed(measured.values()))
    drawn, axes = plt.subplots(figsize=(9, 0.42 * len(figures) + 1))
    for height, figure in enumerate(figures):
        middle = median(figure.ratios)
        least, greatest = min(figure.ratios), max(figure.ratios)
        axes.plot([least, greatest], [height, height], color="#7a8ca0", linewidth=3)
        axes.plot(middle, height, "o", color="#1f5f8b")
        if isinstance(figure.goal, Goal) and figure.goal.of == "ratio":
            axes.plot(figure.goal.most, height, "|", color="#b5482e", markersize=16)
        axes.annotate(number(middle), (middle, height + 0.22), fontsize=7, ha="center")
    axes.axvline(1, color="#bbbbbb", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(
        range(len(figures)), [f"{each.name}\nagainst {each.other}" for each in figures], fontsize=7
    )
    axes.set_xlabel("ours / other: dot the median, bar the spread, red mark the goal")
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
