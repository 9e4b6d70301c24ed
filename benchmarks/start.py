"""How long the command line takes to say something, and to read a thousand files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure, Goal, cpu_of_process

_SIGNALS = "import sys; from signals_core.cli import main; sys.argv = ['signals', *{}]; main()"
_HELP = _SIGNALS.format(["--help"])
_YAML = """
import sys, yaml
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
    yaml.load(path.read_text(), yaml.CSafeLoader)
"""
_COLLECTOR = """\
name: bench.orders.{number}
metric: {{name: bench.orders.{number}, type: COUNT}}
grain: 1d
timezone: Europe/Paris
tags: {{env: prod}}
window: {{start: 2026-01-01}}
source:
  type: postgres
  config:
    uri: postgresql://reader@db.example/shop
    sql: |
      SELECT country, count(*) AS value
      FROM orders
      WHERE placed >= :window_start AND placed < :window_end
      GROUP BY country
sinks:
  console: {{type: console}}
"""


def cold_start() -> Figure:
    """Return the CPU of `signals --help` against an import of click."""
    cpu_of_process("-c", _HELP)
    pairs = [(cpu_of_process("-c", _HELP), cpu_of_process("-c", "import click")) for _ in range(15)]
    return Figure(
        "signals --help, CPU",
        "import click",
        Goal(0.040, "s"),
        "s",
        pairs,
        "The command line answers at once: it imports what it needs when it needs it.",
    )


def validate_one() -> Figure:
    """Return the CPU of `config validate` of one file against reading it as YAML."""
    meaning = "An editor or a hook that validates one file answers before one looks up."
    return _validate(1, runs=9, meaning=meaning)


def validate_many() -> Figure:
    """Return the CPU of `config validate` of a thousand files against reading them as YAML."""
    meaning = "Validating a large project is quick enough for every commit."
    return _validate(1000, runs=5, meaning=meaning)


def _validate(files: int, runs: int, meaning: str) -> Figure:
    with TemporaryDirectory() as folder:
        for number in range(files):
            Path(folder, f"{number:04}.yaml").write_text(_COLLECTOR.format(number=number))
        command = _SIGNALS.format(["config", "validate", folder])
        pairs = [
            (cpu_of_process("-c", command), cpu_of_process("-c", _YAML, folder))
            for _ in range(runs)
        ]
    return Figure(
        f"config validate, {files:,} file{'s' if files > 1 else ''}, CPU",
        "CSafeLoader, the same files",
        Goal(6),
        "s",
        pairs,
        meaning,
    )
