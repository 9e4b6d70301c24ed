"""A process that delivers to a file until it is killed, right after a write: for `test_killed`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from attrs import define, field

from signals_core import Batch, Sink
from signals_core.clock import SystemClock
from signals_core.connections import Connection
from signals_core.courier import Courier
from signals_core.store import Store


@define
class Lines(Sink):
    """Appends to a file and, after so many batches, is killed before anybody hears of it."""

    path: Path
    batches: int
    _written: int = field(init=False, default=0)

    def write(self, batch: Batch) -> None:
        with self.path.open("ab") as file:
            file.write(batch.json_lines())
        self._written += 1
        if self._written == self.batches:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, batches: int) -> None:
    """Deliver what is pending; ends by itself once that is all."""
    sink = Lines(folder / "received.jsonl", batches, batch_metrics=10)
    with Store.open(folder / "state") as store:
        courier = Courier(["lake"], Connection(sink, 1), store, SystemClock())
        courier.start()
        while store.outbox()[0].metrics:
            courier.stop(0.01)
            courier.start()
        courier.stop(10)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
