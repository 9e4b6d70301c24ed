"""`signals run --listen` as a process of its own, and what it answers.

with Daemon(project, "--listen", "127.0.0.1:0") as daemon:
assert daemon.get("/healthz")[0] == 200
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from parts.command import SIGNALS, environment

WAIT = 60.0


LEVEL = """
version: 1
sinks: {lake: {type: file, config: {path: lake.jsonl}}}
---
name: shop.level
metric: {name: shop.level, type: GAUGE}
schedule: {interval: 1h}
source: {type: sqlite, config: {path: shop.db, sql: SELECT 5 AS value}}
sinks: [lake]
"""


def make_level(project: Path) -> None:
    """Make a project of one collector, for a daemon that need not do much."""
    (project / "shop.db").touch()
    (project / "signals.yaml").write_text(LEVEL)


def until(what: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + WAIT
    while not (found := what()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


class Daemon:
    """A running daemon; what it writes goes to two files beside its folder."""

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = SIGNALS,
        **options: Any,
    ) -> None:
        name = f"{folder.name}.{time.monotonic_ns()}"
        self.stdout, self.stderr = (folder.with_name(f"{name}.{end}") for end in ("out", "err"))
        with self.stdout.open("w") as out, self.stderr.open("w") as err:
            self.process = subprocess.Popen(
                [*command, "run", *map(str, arguments)],
                **{"cwd": folder, "env": environment(env), **options},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        """What it said on standard error."""
        return self.stderr.read_text()

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait until something is true, and return it; fails when the daemon ends before."""
        found = until(lambda: what() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        return found

    def until_said(self, text: str) -> None:
        """Wait until it has said something."""
        self.until(lambda: text in self.said)

    @property
    def port(self) -> int:
        """Where it listens."""
        self.until_said("listening on http://")
        found = re.search(r"listening on http://\S+:(\d+)", self.said)
        assert found
        return int(found[1])

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Ask for a page; returns status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and return its exit code."""
        os.kill(self.process.pid, number)
        return self.process.wait(WAIT)
