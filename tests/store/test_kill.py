"""Killed anywhere: what `commit` returned for is there, whole, and nothing is there half."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from signals_core.store import Store
from store.made import KEY, START, window

_PROGRAM = Path(__file__).with_name("committing.py")
_KILLS = int(os.environ.get("SIGNALS_KILLS", "20"))
_SEED = int(os.environ.get("SIGNALS_KILLS_SEED", str(random.SystemRandom().getrandbits(32))))


def commits_until_killed(folder, seconds):
    """Run the program, kill it so long after its first commit, and return what it said."""
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        first = process.stdout.readline()
        killing = threading.Timer(seconds, process.kill)
        killing.start()
        said = first + process.stdout.read()
        killing.join()
        complaint = process.stderr.read().decode()
    assert process.returncode == -signal.SIGKILL, complaint
    return [
        tuple(map(int, line.split())) for line in said.splitlines(keepends=True) if b"\n" in line
    ]


def check_whole(store, said):
    """Compare the store with what was said to be committed."""
    runs = {run.id: run for run in store.runs(limit=10**6)}
    for number, hour, count in said:
        assert (runs[number].window, runs[number].metrics) == (window(hour), count)
    hours = [runs[number].window.start for number in sorted(runs)]
    assert hours == [window(hour).start for hour in range(len(hours))]
    assert store.coverage(KEY).covered.spans == ((START, window(len(runs) - 1).end),)
    assert store.last_version(KEY[0]) == window(len(runs) - 1).end
    for line in store.outbox():
        check_outbox(store, line, {number: run.metrics for number, run in runs.items()})


def check_outbox(store, line, counts):
    """See that each metric of a reading is pending, dead or delivered, and only one of them."""
    packed = store.pending(line.sink, metrics=10**9, bytes=10**9)
    places = list(packed.positions()) if packed else []
    lines = packed.batch.encoded if packed else ()
    assert [number_in(each) for each in lines] == [place.index for place in places]
    assert (line.metrics, line.bytes) == (len(lines), sum(len(each) + 1 for each in lines))
    dead = {(letter.reading_id, letter.index) for letter in store.dead_letters(line.sink)}
    assert len(dead) == line.dead_letters and not dead & set(places)
    sizes = (len(letter.metric.encode()) + 1 for letter in store.dead_letters(line.sink))
    assert line.dead_bytes == sum(sizes)
    left = Counter(number for number, _ in (*places, *dead))
    took = delivered(store, line.sink)
    for number, count in counts.items():
        assert left[number] <= count if number in took else left[number] == count


def number_in(line):
    """Return the number that is the metric's uuid."""
    return int(line[9:45].replace(b"-", b""), 16)


def delivered(store, sink):
    """Return the readings of which a sink took something."""
    with store._database.snapshot() as connection:
        return {
            number
            for (number,) in connection.execute(
                "SELECT reading FROM delivery JOIN sink ON number = sink WHERE name = ?", (sink,)
            )
        }


def test_killed_anywhere(folder):
    """A process is killed again and again while it commits, delivers and buries."""
    chance, said = random.Random(_SEED), []
    for kill in range(_KILLS):
        said += commits_until_killed(folder, chance.uniform(0, 0.08))
        with Store.open(folder) as store:
            try:
                check_whole(store, said)
            except AssertionError as error:
                error.add_note(f"kill {kill} of seed {_SEED} (SIGNALS_KILLS_SEED)")
                raise
    assert len(said) >= _KILLS
