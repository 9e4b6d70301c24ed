"""What the sink `console` prints, on real terminals, pipes and devices."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import resource
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parts.metrics import batch_of, metric
from parts.metrics import metrics as any_metrics
from signals_core import Metric, Unavailable
from signals_core.builtin.console import Console, table

# Writes one batch as the runner would, twice when told to, and says what happened on stderr.
PROGRAM = """
import sys
from parts.metrics import batch_of, metric
from signals_core import Unavailable
from signals_core.builtin.console import Console
sink = Console()
sink.open()
for value in range(int(sys.argv[1])):
    try:
        sink.write(batch_of(metric(value)))
    except Unavailable as error:
        print(error, file=sys.stderr)
sink.close()
sink.close()
"""


def start(times: int = 1, **options: object) -> subprocess.Popen[str]:
    """Start a process that prints as many batches."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", PROGRAM, str(times)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)


class Terminal:
    """A terminal: the descriptor to print on, and what is seen on its screen."""

    def __init__(self, width: int) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self._seen = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(self._ours, 65_536):
                self._seen += piece

    def lines(self) -> list[str]:
        """Return the lines that were printed, without colours, once nobody prints any more."""
        self._reader.join()
        os.close(self._ours)
        text = re.sub(r"\x1b\[[0-9;]*m", "", self._seen.decode())
        return [line.rstrip() for line in text.replace("\r\n", "\n").splitlines()]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing but the terminal decide on colour."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def printed(*metrics: Metric, width: int = 120, encoding: str = "utf-8") -> list[str]:
    """Return the lines that a terminal shows."""
    terminal = Terminal(width)
    os.environ["COLUMNS"] = str(width)
    with (
        os.fdopen(terminal.theirs, "w", encoding=encoding) as stream,
        contextlib.redirect_stdout(stream),
    ):
        Console().write(batch_of(*metrics))
    return terminal.lines()


def test_a_pipe_gets_json_lines() -> None:
    """In a pipe a metric is one JSON object on one line, and nothing else is printed."""
    with start(2, stdout=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert out.encode() == batch_of(metric(0), metric(1)).json_lines()
    assert (process.returncode, err) == (0, "")


def test_a_terminal_gets_an_aligned_table() -> None:
    """At a terminal there is a column a tag, and numbers stand right."""
    lines = printed(
        metric(5, tags={"country": "fr", "env": "prod"}),
        metric(1234567, tags={"country": "de"}),
        metric(None, tags={}),
        metric(Decimal("0.50")),
    )
    assert lines == [
        "metric              country  customer  env       value  time",
        "core.users.signups  fr                 prod          5  2026-01-01T23:01:00Z",
        "core.users.signups  de                         1234567  2026-01-01T23:01:00Z",
        "core.users.signups                           retracted  2026-01-01T23:01:00Z",
        "core.users.signups           google               0.50  2026-01-01T23:01:00Z",
    ]


def test_the_start_is_what_a_clock_of_the_grain_shows() -> None:
    """A bucket begins when its own zone's clock says so, with the distance from UTC."""
    day = {"grain": "1d", "grain_datetime": datetime(2026, 1, 30, 23, tzinfo=UTC)}
    lines = printed(
        metric(1, tags={}, timezone="Europe/Paris", **day),
        metric(2, tags={}, timezone="UTC", **day),
    )
    assert lines == [
        "metric              value  start",
        "core.users.signups      1  2026-01-31T00:00:00+01:00",
        "core.users.signups      2  2026-01-30T23:00:00Z",
    ]


@pytest.mark.parametrize("plain", ["", "1"])
def test_no_line_ends_with_a_space(monkeypatch: pytest.MonkeyPatch, plain: str) -> None:
    """What is copied from a terminal holds no padding; with NO_COLOR it holds no styles either."""
    monkeypatch.setenv("NO_COLOR", plain)
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = table(batch_of(metric(5)), sys.stdout).decode()
    assert not re.search(r" (\x1b\[0m)?$", shown, re.MULTILINE)
    assert ("\x1b" in shown) is not bool(plain)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.integers() | st.decimals(allow_nan=False, allow_infinity=False),
    width=st.integers(10, 200),
)
def test_no_number_is_cut(value: int | Decimal, width: int) -> None:
    """However narrow the terminal, every digit is shown, in one piece and without an exponent."""
    lines = printed(metric(value, tags={"account": "a rather long name of it"}), width=width)
    assert format(Decimal(value), "f") in " ".join(lines).split()


def test_a_number_beyond_pythons_own_limit_is_shown() -> None:
    """An integer of more digits than Python prints by itself is printed."""
    assert "9" * 5000 in " ".join(printed(metric(10**5000 - 1)))


def test_the_width_is_the_terminals() -> None:
    """A process whose standard output is a terminal keeps to that terminal's width."""
    terminal = Terminal(50)
    with start(1, stdout=terminal.theirs, stdin=subprocess.DEVNULL) as process:
        os.close(terminal.theirs)
        process.communicate()
    lines = terminal.lines()
    assert lines == [
        "metric       customer  value  time",
        "core.users.  google        0  2026-01-01T23:01:00Z",
        "signups",
    ]
    assert max(map(len, lines)) == 50


def test_a_table_that_is_too_wide_folds() -> None:
    """On a narrow terminal long tags take several lines."""
    lines = printed(metric(7, tags={"text": "one two three four five six"}), width=60)
    assert len(lines) > 2
    assert max(map(len, lines)) <= 60
    assert lines[1].split()[-2:] == ["7", "2026-01-01T23:01:00Z"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metrics=st.lists(any_metrics, min_size=1, max_size=3))
def test_no_tag_controls_the_terminal(metrics: list[Metric]) -> None:
    """What a database returned is shown, never obeyed: no control character reaches a terminal."""
    assert all(line.isprintable() for line in printed(*metrics))


def test_markup_is_plain_text() -> None:
    """A tag that looks like markup of a library is shown as it is."""
    tags = {"[red]k[/red]": "[bold]x[/bold] :smile:", "esc": "\x1b[31m"}
    shown = " ".join(printed(metric(tags=tags)))
    assert "[red]k[/red]" in shown
    assert "[bold]x[/bold] :smile:" in shown
    assert r"\x1b[31m" in shown


def test_a_terminal_of_another_encoding_gets_what_it_can_show() -> None:
    """A letter that the terminal does not know is spelled out instead of failing."""
    assert r"\xe9t\xe9" in " ".join(printed(metric(tags={"season": "été"}), encoding="ascii"))


def test_standard_output_is_looked_up_when_it_is_written_to() -> None:
    """A program that puts its own stream in place of standard output gets the metrics there."""
    text, wrapped = io.StringIO(), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    for stream in (text, wrapped):
        with contextlib.redirect_stdout(stream):
            print("before")
            Console().write(batch_of(metric(tags={"season": "été"})))
    expected = "before\n" + batch_of(metric(tags={"season": "été"})).json_lines().decode()
    assert text.getvalue() == expected
    assert wrapped.buffer.getvalue().decode() == expected  # type: ignore[attr-defined]


def test_what_was_printed_before_stays_before(tmp_path: Path) -> None:
    """Text that a program has printed and not flushed comes out ahead of the metrics."""
    file = tmp_path / "out"
    with file.open("w") as stream, contextlib.redirect_stdout(stream):
        print("before")
        Console().write(batch_of(metric()))
        print("after")
    assert file.read_bytes() == b"before\n" + batch_of(metric()).json_lines() + b"after\n"


def test_a_full_device_is_one_line() -> None:
    """A device without room is told in one line each time, and Python adds nothing at its end."""
    with Path("/dev/full").open("w") as full, start(2, stdout=full) as process:
        _, err = process.communicate()
    assert err.splitlines() == ["standard output: No space left on device"] * 2
    assert process.returncode == 0


def test_a_reader_that_went_away_is_one_line() -> None:
    """A pipe whose reader is gone is told in one line, and Python adds nothing at its end."""
    reading, writing = os.pipe()
    os.close(reading)
    with start(2, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate()
    assert err.splitlines() == ["standard output: the reader went away"] * 2
    assert process.returncode == 0


def test_no_standard_output_is_one_line() -> None:
    """A process that was started without standard output says so."""
    with start(1, preexec_fn=lambda: os.close(1)) as process:
        _, err = process.communicate()
    assert err.splitlines() == ["standard output is closed"]


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond 1000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """After a failure in the middle of a line the batch is printed again, from a new line on."""
    file, batch = tmp_path / "out", batch_of(metric(1), metric(2), metric(3), metric(4))
    sink = Console()
    with file.open("w") as stream, contextlib.redirect_stdout(stream):
        for _ in range(2):
            with pytest.raises(Unavailable, match="standard output: File too large"):
                sink.write(batch)
        assert file.stat().st_size == 1000
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        sink.write(batch)
        sink.write(batch)
    assert file.read_bytes().endswith(b"\n" + batch.json_lines() + batch.json_lines())
    assert b"\n\n" not in file.read_bytes()
