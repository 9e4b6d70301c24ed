"""A process that commits, delivers and forgets without end, to be killed: `committing.py FOLDER`.

It says what was done once it was done: a line for each commit that returned, `reading hour count`.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from signals_core import WindowPolicy
from signals_core.store import Letter, Store
from signals_core.store.records import items_of
from store.made import KEY, START, commit, covering, reading, window

POLICY = WindowPolicy(start=START)
SINKS = ("lake", "console")


def main(folder: str) -> None:
    """Read one window after the other, from where an earlier process was killed."""
    store = Store.open(Path(folder))
    chance = random.Random()
    before = store.coverage(KEY)
    hour = 0 if before is None else (before.covered.spans[-1][1] - START) // (window().end - START)
    while True:
        read = reading(range(hour % 7 * 150), window(hour).end, window(hour))
        after = (before or covering()).after_reading(window(hour), POLICY, window(hour).end)
        committed = commit(store, read, SINKS, coverage=(KEY, before, after))
        os.write(1, b"%d %d %d\n" % (committed.reading_id, hour, len(read.metrics)))
        before, hour = after, hour + 1
        sink = chance.choice(SINKS)
        packed = store.pending(sink, metrics=chance.randint(1, 900), bytes=10**6)
        if packed:
            first, *rest = packed.positions()
            refused = [Letter(*first, "no")] if hour % 5 == 0 else []
            store.bury(sink, refused, at=START, delivered=items_of(rest))
        if hour % 20 == 0:
            store.retry_dead(sink)


if __name__ == "__main__":
    main(sys.argv[1])
