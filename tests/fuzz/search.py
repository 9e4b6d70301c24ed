"""Search for bytes that make a target stumble, by the branches that they take.

    python tests/fuzz/search.py RUNS            tries all targets
    python tests/fuzz/search.py RUNS TARGET

Needs atheris. What it finds stays in the working directory, as libFuzzer's `crash-*`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
with atheris.instrument_imports(include=["signals_core", "signals_postgres"]):
    from fuzz.targets import TARGETS, pieces_of


def search(runs: str, name: str) -> None:
    """Try the target of that name so many times; the process ends with it."""
    target = next(each for each in TARGETS if each.__name__ == name)
    words = [word for word in pieces_of(target) if word.strip()]
    dictionary = Path(f"{name}.dict")
    dictionary.write_text(
        "\n".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"' for word in words)
    )
    corpus = Path(f"{name}.corpus")
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds_of(name)):
        (corpus / f"seed-{number}").write_text(seed)
    options = [
        f"-runs={runs}",
        "-max_len=1000",
        "-timeout=20",
        f"-dict={dictionary}",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options, "-print_final_stats=1", "-seed=1"], target)
    atheris.Fuzz()


def seeds_of(name: str) -> list[str]:
    """Return what to begin with: what is read as YAML begins with our examples."""
    if name not in ("yaml", "nodes"):
        return []
    return [path.read_text() for path in sorted((ROOT / "examples").rglob("*.yaml"))]


def search_all(runs: str) -> int:
    """Try each target in a process of its own; returns how many were made to stumble."""
    failed = 0
    for name in (each.__name__ for each in TARGETS):
        begun = time.monotonic()
        done = subprocess.run([sys.executable, __file__, runs, name], check=False)
        failed += done.returncode != 0
        seconds = time.monotonic() - begun
        print(f"{name}: {runs} tries in {seconds:.0f} s, exit {done.returncode}", flush=True)
    return failed


if __name__ == "__main__":
    if len(sys.argv) > 2:
        search(sys.argv[1], sys.argv[2])
    sys.exit(search_all(sys.argv[1]))
