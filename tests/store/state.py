"""A state with something of everything, as kept in `fixtures/`: `state.py FILE` makes one.

When the schema changes, make the file of the version before with the code of that version.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from attrs import evolve

from signals_core import WindowPolicy
from signals_core.coverage import Coverage
from signals_core.store import Item, Letter, Paused, Run, Store, TakenUp
from store.made import HOUR, KEY, SECOND, START, commit, reading, window

_POLICY = WindowPolicy(start=START, revise=[HOUR, 24 * HOUR])

PAUSED = Paused(
    of="collector",
    name="shop.orders",
    since=window(8).end,
    until=window(9).end,
    reason="audit",
)
TAKEN = TakenUp(
    read_at=window(8).end,
    is_taken=True,
    kept_back=["orders"],
    problems=["orders.yaml:1: no"],
    left_out=["stock"],
)


def coverage() -> Coverage:
    """Return the coverage that the state ends with: read, skipped and failed windows, levels."""
    known = Coverage(START).with_policy(_POLICY, START)
    known = known.after_skipping(START, window(1).end)
    for hour in (2, 3, 6):
        known = known.after_reading(window(hour), _POLICY, window(hour).end + HOUR)
    return known.after_failure(window(4), "division by zero", window(6).end)


def fill(store: Store) -> None:
    """Bring an empty store into the state."""
    store.set_sinks(["lake", "console"])
    before = evolve(coverage(), failures={})
    store.save_coverage(KEY, None, before)
    for hour, values in ((2, {1: 1, 2: 2}), (3, {1: 3}), (6, {1: 6, 2: 7, 3: 8})):
        commit(store, reading(values, window(hour).end, window(hour)), ["lake", "console"])
    read = reading({1: 5}, window(6).end + SECOND, window(6))
    commit(store, read, ["lake", "gone"], coverage=(KEY, before, coverage()))
    store.acknowledge("lake", [Item(1, 0, 2)], at=window(7).start)
    store.bury("lake", [Letter(2, 0, "too old")], at=window(7).start)
    store.set_sinks(["lake"])
    store.drop("console", at=window(8).start)
    store.set_sinks(["lake", "console"])
    store.set_sink_state("console", window(7).start, "401 Unauthorized", window(6).start)
    store.record(
        Run(
            collector="shop.orders",
            name="orders",
            origin="signals 1",
            started=window(7).end,
            window=window(4),
            outcome="failed",
            reason="division by zero",
            query="SELECT 1 / 0 AS value",
        )
    )
    asked = store.request("backfill", {"name": "shop.orders"}, at=window(7).end)
    store.finish_request(asked, "done", {"done": 9}, at=window(8).end)
    store.request("retry", {"sink": "lake"}, at=window(8).end)
    store.pause("collector", ["shop.orders"], at=PAUSED.since, until=PAUSED.until, reason="audit")
    store.take_up(TAKEN)


def main(target: str) -> None:
    """Make the file of a state."""
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(Path(folder)) as store:
            fill(store)
        shutil.copyfile(Path(folder) / "store.db", target)


if __name__ == "__main__":
    main(sys.argv[1])
