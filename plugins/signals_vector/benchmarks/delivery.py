"""How many metrics a second the sink delivers: in batches, one a request, and against urllib3.

Run it as `PYTHONPATH=tests python plugins/signals_vector/benchmarks/delivery.py`. All figures come
from one run against one receiver in a process of its own; what counts is their ratios.
"""

# ruff: noqa: INP001, T201 - a script that talks to a person

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import urllib3

from parts.metrics import batch_of, metric
from parts.receiver import Receiver
from signals_core import Batch
from signals_vector import Http

COUNT, BATCH, ROUNDS = 10_000, 1000, 9


def main() -> None:
    """Measure in turns, so that a noisy machine is noisy for all, and print the medians."""
    metrics = batch_of(*(metric(value) for value in range(COUNT)))
    batches = [metrics[start : start + BATCH] for start in range(0, COUNT, BATCH)]
    receiver = Receiver()
    ways: dict[str, Callable[[], None]] = {
        "batches of 1000": lambda: through_the_sink(receiver, "json_array", batches),
        "bare urllib3, same bytes": lambda: through_urllib3(receiver, batches),
        "one request a metric": lambda: through_the_sink(receiver, "json_object", batches),
    }
    try:
        taken = [[timed(way, receiver) for way in ways.values()] for _ in range(ROUNDS)]
    finally:
        receiver.stop()
    report(dict(zip(ways, map(median, zip(*taken, strict=True)), strict=True)))


def report(seconds: Mapping[str, float]) -> None:
    """Print metrics a second, and the ratios that count."""
    for name, taken in seconds.items():
        print(f"{name:26} {COUNT / taken:>12,.0f} metrics/s")
    batched, bare, single = seconds.values()
    print(f"batches against one request a metric: {single / batched:.0f} x as many a second")
    print(f"the sink against bare urllib3:        {batched / bare:.2f} x its time")


def timed(way: Callable[[], None], receiver: Receiver) -> float:
    """Return the seconds that one delivery of all metrics takes."""
    receiver.forget()
    start = perf_counter()
    way()
    taken = perf_counter() - start
    delivered = len(receiver.metrics())
    if delivered != COUNT:
        sys.exit(f"{delivered} of {COUNT} metrics arrived")
    return taken


def through_the_sink(receiver: Receiver, fmt: str, batches: list[Batch]) -> None:
    """Deliver as the runner would."""
    sink = Http(receiver.uri, format=fmt)
    sink.open()
    for batch in batches:
        sink.write(batch)
    sink.close()


def through_urllib3(receiver: Receiver, batches: list[Batch]) -> None:
    """Post the same bytes with as little as can be."""
    pool = urllib3.PoolManager()
    for batch in batches:
        headers = {"Content-Type": "application/json"}
        answer = pool.request("POST", receiver.uri, body=batch.json_array(), headers=headers)
        assert answer.status == 200
    pool.clear()


if __name__ == "__main__":
    main()
