"""How long the command line takes to say something."""

from __future__ import annotations

from benchmarks.measure import Figure, cpu_of_process

_HELP = "import sys; from signals_core.cli import main; sys.argv = ['signals', '--help']; main()"


def cold_start() -> Figure:
    """Return the CPU of `signals --help` against an import of click."""
    cpu_of_process("-c", _HELP)
    pairs = [(cpu_of_process("-c", _HELP), cpu_of_process("-c", "import click")) for _ in range(15)]
    return Figure("signals --help, CPU", "import click", "at most + 0.060 s", "s", pairs)
