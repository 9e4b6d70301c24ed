"""The daemon under test: a process of its own, on one state directory."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from parts.command import SIGNALS, environment

_RUNNING = b" collectors, state in "
_SECONDS = 30.0


class Daemon:
    """`signals run` in a project's folder, started again and again."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._log = project / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0

    def start(self) -> None:
        """Start it; whether a killed one's lock is still held must not matter."""
        with self._log.open("ab") as log:
            self._said = log.tell()
            self._process = subprocess.Popen(
                [*SIGNALS, "run", "--state-dir", "state", "--wait-lock", "10s"],
                cwd=self._project,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def wait_until_running(self) -> None:
        """Return when it says that it runs."""
        deadline = time.monotonic() + _SECONDS
        while _RUNNING not in self._log.read_bytes()[self._said :]:
            self.must_run()
            assert time.monotonic() < deadline, "it does not start"
            time.sleep(0.005)

    def wait_for_commit(self, seconds: float = 1.0) -> None:
        """Return as soon as it writes to its store, or when so many seconds have passed."""
        deadline = time.monotonic() + seconds
        before = self._store_changed()
        while self._store_changed() == before and time.monotonic() < deadline:
            time.sleep(0.0002)

    def must_run(self) -> None:
        """Fail when it has ended by itself."""
        assert self._running.poll() is None, f"it ended by itself, with {self._running.returncode}"

    def kill(self) -> None:
        """Kill it without a warning."""
        self._running.kill()
        code = self._running.wait()
        assert code == -signal.SIGKILL, f"it had ended by itself, with {code}"

    def stop(self) -> None:
        """Tell it to stop, which it does with 0."""
        self._running.terminate()
        assert self._running.wait(timeout=_SECONDS) == 0

    def end(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def left_over(self) -> list[str]:
        """Return what the state directory has kept from the sinks."""
        command = [*SIGNALS, "outbox", "list", "--state-dir", "state", "--json"]
        done = subprocess.run(
            command, cwd=self._project, env=environment(), capture_output=True, check=True
        )
        kept = json.loads(done.stdout)
        pending = [each for each in kept["sinks"] if each["metrics"]]
        return [f"kept: {each}" for each in (*pending, *kept["dead_letters"])]

    def last_words(self) -> str:
        """Return the end of its log."""
        return "\n".join(self._log.read_text().splitlines()[-20:])

    def _store_changed(self) -> list[int]:
        return [file.stat().st_mtime_ns for file in self._project.glob("state/*-wal")]

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process
