"""The command line as a person runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

SIGNALS = [sys.executable, "-m", "signals_core"]

Signals = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without what could colour, buffer or otherwise change the output."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SIGNALS_")}
    kept.pop("PYTHONUNBUFFERED", None)
    return {**kept, "NO_COLOR": "1", **(extra or {})}


def begun(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start `signals` in a folder; what it says comes through pipes."""
    return subprocess.Popen(
        [*SIGNALS, *map(str, arguments)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(folder: Path, *command: str, **env: str) -> str:
    """Run a program that is to succeed, and return what it prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return an empty folder that commands run in."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def signals(project: Path) -> Signals:
    """Return a function that runs `signals` in the project folder and returns what it said."""

    def run(
        *arguments: object, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SIGNALS, *map(str, arguments)],
            env=environment(env),
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            check=False,
            **{
                "cwd": project,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **options,
            },
        )

    return run
