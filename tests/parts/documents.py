"""Documents whose examples run, in order, in a folder of their own, at a terminal.

What a fenced block is for is told by its language:

- `yaml`, `python`, `toml`, `sql`: a file, when its first line is a comment with the file's name
- `yaml` without a name: some keys of a collector, which must be right
- `python` without a name: a program that must run
- `json`: a metric in its wire form
- `console`: commands after `$ `, each with what it prints
- `sh`, `text`: for the reader alone
- `{...}`: for what makes the book, and no example

A command that does not end by itself has a line `^C` in what it prints: it is interrupted once all
before that line is on the screen.

In what a command prints, `...` stands for anything, and a time for any that is at most three days
from now: what a document shows was now when it was written.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

from attrs import frozen

_FENCE = re.compile(r"^```(\w*|\{.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:#|--) ([\w./-]+\.(?:yaml|py|toml|sql))\n")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_END = "\x1e"
_INTERRUPT = "^C\n"
_PATIENCE = 60.0

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)")


@frozen
class Block:
    """A fenced block of a document: its language, its text, and the line where that begins."""

    document: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where the block is, for a person."""
        return f"{self.document.name}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """The name in the comment that is the first line."""
        match = _NAME.match(self.text)
        return match[1] if match else None

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield the commands of a console block, each with what it is to print."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            while command.endswith("\\"):
                more, _, printed = printed.partition("\n")
                command += "\n" + more
            yield command, printed


def blocks_of(path: Path) -> list[Block]:
    """Return the fenced blocks of a document."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(path, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
        if not match[1].startswith("{")
    ]


class Terminal:
    """A shell whose commands see a terminal of 100 columns; what they export stays."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._screen, theirs = pty.openpty()
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**environment, "TERM": "dumb", "COLUMNS": "100", "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def run(self, command: str, expected: str = "") -> str:
        """Run a command and return what the screen shows of it."""
        before, interrupt, _ = expected.partition(_INTERRUPT)
        if interrupt:
            return self._run_until(command, before)
        self._type(f"(exit $code); eval {quote(command)} </dev/null; code=$?; printf '\\036'")
        return _plain(self._rest())

    def _run_until(self, command: str, expected: str) -> str:
        """Run a command in the background, and interrupt it when it has shown what is expected."""
        file = self._folder.with_name("pid")
        start = f"(exec {command}) </dev/null & echo $! >{quote(str(file))}"
        self._type(f"{start}; wait $!; code=$?; printf '\\036'")
        shown, deadline = b"", time.monotonic() + _PATIENCE
        while not is_shown(expected, _plain(shown)) and time.monotonic() < deadline:
            if select.select([self._screen], [], [], 1)[0]:
                shown += os.read(self._screen, 65536)
            if shown.endswith(_END.encode()):
                return _plain(shown)
        os.kill(int(file.read_text()), signal.SIGINT)
        return _plain(shown) + _INTERRUPT + _plain(self._rest())

    def _type(self, line: str) -> None:
        assert self._shell.stdin
        self._shell.stdin.write(line.encode() + b"\n")
        self._shell.stdin.flush()

    def _rest(self) -> bytes:
        shown = b""
        while not shown.endswith(_END.encode()):
            shown += os.read(self._screen, 65536)
        return shown

    def close(self) -> None:
        """End the shell."""
        self._shell.communicate()
        os.close(self._screen)


def _plain(shown: bytes) -> str:
    text = shown.decode(errors="replace").removesuffix(_END)
    return _COLOUR.sub("", text).replace("\r\n", "\n")


def is_shown(expected: str, shown: str) -> bool:
    """Whether a command printed what its document says."""
    parts = _TIME.split(expected.rstrip())
    texts = [re.escape(part).replace(re.escape("..."), ".*?") for part in parts[::2]]
    match = re.fullmatch(_TIME.pattern.join(texts), trimmed(shown), re.DOTALL)
    return match is not None and all(map(_is_same_time, parts[1::2], match.groups()))


def trimmed(text: str) -> str:
    """Return text without spaces at the ends of its lines, and without empty lines at its end."""
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def _is_same_time(documented: str, shown: str) -> bool:
    if documented == shown:
        return True
    moment = datetime.fromisoformat(shown)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return abs(datetime.now(UTC) - moment) < timedelta(days=3)
