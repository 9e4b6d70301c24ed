"""A daemon with two sinks, one of them down, in a process of its own: says what memory it took.

It is called with a state directory and prints JSON: the bytes of the backlog, and the most memory
in bytes that the process has had by when the backlog was small, large, and delivered.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from attrs import define, field

from parts.running import MINUTE, Rig, at
from signals_core import Batch, Request, Sink, Source, Unavailable

ROWS = 1000
GRAIN = 2 * MINUTE
SMALL, LARGE = 12, 90  # readings


@define(eq=False)
class Wide(Source):
    """A thousand groups with long names, and no memory of having been asked."""

    def parameters(self, query):
        return {"window_start", "window_end"}

    def read(self, request: Request):
        for number in range(ROWS):
            yield {"value": number, "group": f"{number:0400}"}


@define(eq=False)
class Counting(Sink):
    """Counts what it takes, and takes nothing while it is down."""

    about: str
    is_down: bool = field(init=False, default=False)
    count: int = field(init=False, default=0)

    def write(self, batch: Batch) -> None:
        if self.is_down:
            raise Unavailable("shut")
        self.count += len(batch)


def most_memory() -> int:
    """Return the most bytes that this process has had at a time."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def main(folder: str) -> None:
    rig = Rig(Path(folder))
    lake, pond = Counting("lake"), Counting("pond")
    sinks = {"lake": lake, "pond": pond}
    pond.is_down = True
    collector = rig.windowed(
        grain="2m",
        source=Wide(),
        sinks=sinks,
        shared_sinks=list(sinks),
        start=at("2026-01-01"),
    )
    rig.start(collector)
    rig.advance(SMALL * GRAIN)
    small = most_memory()
    rig.advance(LARGE * GRAIN)
    large = most_memory()
    with rig.store() as store:
        (backlog,) = (line.bytes for line in store.outbox() if line.sink == "pond")
    pond.is_down = False
    rig.advance(10 * MINUTE)
    rig.stop()
    facts = {
        "backlog": backlog,
        "memory": [small, large, most_memory()],
        "taken": [lake.count, pond.count],
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1])
