"""Search for bytes that make a target stumble, by the branches that they take.

    python tests/fuzz/search.py                 names the targets
    python tests/fuzz/search.py TARGET RUNS

Needs atheris. What it finds stays in the working directory, as libFuzzer's `crash-*`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["signals_core", "signals_postgres"]):
    from fuzz.targets import TARGETS, pieces_of


def main(name: str, runs: str) -> None:
    """Try the target of that name so many times."""
    target = next(each for each in TARGETS if each.__name__ == name)
    words = [word for word in pieces_of(target) if word.strip()]
    dictionary = Path(f"{name}.dict")
    dictionary.write_text(
        "\n".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"' for word in words)
    )
    options = [
        f"-runs={runs}",
        "-max_len=400",
        "-timeout=20",
        f"-dict={dictionary}",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", "-seed=1"], target)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    else:
        print(*(each.__name__ for each in TARGETS))
