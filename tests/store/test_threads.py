"""One store, many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from signals_core.store import Store
from store.made import SECOND, START, commit, reading

_EACH = 40


def test_threads_share_a_store(store, folder):
    """Collectors commit, sinks deliver and a reader looks on at the same time: nothing is lost."""

    def collect(name):
        for second in range(_EACH):
            read = reading([1, 2, 3], START + second * SECOND, collector=name)
            commit(store, read, ["lake", "console"])
        return 0

    def deliver(sink):
        count = 0
        while count < 4 * _EACH * 3:
            packed = store.pending(sink, metrics=10, bytes=10**6)
            if packed:
                count += len(packed.batch)
                store.acknowledge(sink, packed.items, at=START)
        return count

    def look(_):
        with Store.look(folder) as reader:
            while len(reader.runs(limit=10**6)) < 4 * _EACH:
                for line in reader.outbox():
                    assert (line.metrics == 0) == (line.bytes == 0)
        return 0

    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(collect, name) for name in "abcd"]
        jobs += [pool.submit(deliver, sink) for sink in ("lake", "console")]
        jobs += [pool.submit(look, None)]
        counts = [job.result() for job in jobs]
    assert sum(counts) == 2 * 4 * _EACH * 3
    assert {line.metrics for line in store.outbox()} == {0}
    assert {name: run.started for name, run in store.last_runs().items()} == dict.fromkeys(
        "abcd", START + (_EACH - 1) * SECOND
    )
