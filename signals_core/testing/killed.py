"""A sink in a process of its own, which is killed: `python -m signals_core.testing.killed`.

What it is to do comes on standard input: a line of JSON with the folders to import from, then the
pickled sink, as class and fields, and its batches. It says `writing` on standard error before each
batch, and kills itself on the line after the last `write()`.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import attrs

from signals_core import Batch, Sink
from signals_core.testing.promise import Seen

_WRITING = b"writing\n"


class Child:
    """A process that opens a copy of a sink and writes batches to it."""

    def __init__(self, sink: Sink, batches: Iterable[Batch]) -> None:
        fields = {
            each.alias or each.name: getattr(sink, each.name)
            for each in attrs.fields(type(sink))
            if each.init
        }
        order = pickle.dumps((type(sink), fields, [batch.json_lines() for batch in batches]))
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(sys.path).encode() + b"\n" + order)
        self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait until it has killed itself; `Seen` when it ended in another way."""
        assert self._process.stderr
        try:
            ended = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise Seen(f"write() in a process of its own went on for {seconds:g} s") from None
        said = self._process.stderr.read().decode().replace(_WRITING.decode(), "").strip()
        self._process.stderr.close()
        if ended != -signal.SIGKILL:
            why = said.splitlines()[-1] if said else f"it ended with {ended}"
            raise Seen(f"in a process of its own it failed: {why}")

    def kill_while_writing(self, seconds: float) -> None:
        """Kill it so long after it began to write."""
        assert self._process.stderr
        said = self._process.stderr.readline()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        rest = self._process.stderr.read().decode()
        self._process.stderr.close()
        if said != _WRITING:
            why = (said.decode() + rest).strip().splitlines()[-1:]
            raise Seen(f"in a process of its own it failed: {''.join(why)}")


def main() -> None:
    """Do as told on standard input."""
    sys.path[:] = json.loads(sys.stdin.buffer.readline())
    cls, fields, batches = pickle.load(sys.stdin.buffer)  # noqa: S301 - the kit wrote it
    _write(cls(**fields), batches)


def _write(sink: Any, batches: list[bytes]) -> None:
    sink.open()
    for lines in batches:
        batch = Batch(lines.splitlines())
        sys.stderr.buffer.write(_WRITING)
        sys.stderr.buffer.flush()
        sink.write(batch)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
