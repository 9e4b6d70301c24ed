"""Killed between a write and its acknowledgement."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from parts.outgoing import Outgoing

_PROGRAM = Path(__file__).with_name("delivering.py")


def deliver(folder: Path, batches: int) -> int:
    return subprocess.run([sys.executable, _PROGRAM, folder, str(batches)], check=False).returncode


@pytest.mark.parametrize("batches", [1, 3])
def test_killed_between_write_and_acknowledgement(tmp_path: Path, batches: int) -> None:
    """What was written and not acknowledged is written again as it was, and nothing is lost."""
    outgoing = Outgoing(tmp_path / "state", random=lambda _low, high: high)
    for number in range(0, 50, 5):
        outgoing.read(range(number, number + 5))
    outgoing.close()
    assert deliver(tmp_path, batches) == -signal.SIGKILL
    assert deliver(tmp_path, 100) == 0
    received = (tmp_path / "received.jsonl").read_bytes().splitlines()
    first, again = 10 * batches, 10 * (batches - 1)
    assert [json.loads(line)["value"] for line in received] == [*range(first), *range(again, 50)]
    twice = Counter(received)
    assert len(twice) == 50  # the same bytes: the same uuids and versions
    assert [line for line in twice if twice[line] == 2] == received[again:first]
