"""What the sink `file` leaves on a disk, whatever happens meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parts.metrics import batch_of, metric
from parts.metrics import metrics as any_metrics
from signals_core import Metric, Unavailable
from signals_core.builtin.file import File

LINES = batch_of(metric(1), metric(2), metric(3, tags={"season": "été"})).json_lines()

# Appends batches of three for ever, and says the number of each when it is accepted.
WRITER = """
import sys
from pathlib import Path
from parts.metrics import batch_of, metric
from signals_core.builtin.file import File
sink, first = File(Path(sys.argv[1])), int(sys.argv[2])
sink.open()
for value in range(first, first + int(sys.argv[3])):
    sink.write(batch_of(*(metric(value, tags={"n": str(n), "text": "x" * 3000}) for n in range(3))))
    print(value, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file will be."""
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def sink(path: Path) -> Iterator[File]:
    """Open a sink and close it after the test."""
    opened = File(path)
    opened.open()
    yield opened
    opened.close()


def values(path: Path) -> list[int]:
    """Return the values of the metrics in a file, of which every line must be whole."""
    content = path.read_bytes()
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(line)["value"] for line in content.splitlines()]


def writer(path: Path, first: int, count: int = 1_000_000) -> subprocess.Popen[str]:
    """Start a process that appends."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(count)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metrics=st.lists(any_metrics, min_size=1, max_size=5))
def test_what_is_written_is_read(path: Path, metrics: list[Metric]) -> None:
    """Every metric is one line in its wire form, behind what was there."""
    path.write_bytes(LINES)
    sink = File(path)
    sink.open()
    sink.write(batch_of(*metrics))
    sink.close()
    written = path.read_bytes().removeprefix(LINES)
    assert written == batch_of(*metrics).json_lines()
    assert written.count(b"\n") == len(metrics)


def test_a_torn_last_line_is_cut_at_open(path: Path) -> None:
    """Cut anywhere, a file has nothing but whole lines, and all of those, once it is opened."""
    for length in range(len(LINES) + 1):
        path.write_bytes(LINES[:length])
        sink = File(path)
        sink.open()
        sink.close()
        assert path.read_bytes() == LINES[: LINES.rfind(b"\n", 0, length) + 1]


def test_a_torn_last_line_is_cut_before_the_next(path: Path, sink: File) -> None:
    """What another process left of a line while we had the file open is cut too."""
    sink.write(batch_of(metric(1)))
    with path.open("ab") as other:
        other.write(LINES[:50])
    sink.write(batch_of(metric(2)))
    assert values(path) == [1, 2]


@pytest.mark.parametrize("size", [10, 70_000, 1_000_000])
def test_a_long_torn_line_is_cut(path: Path, size: int) -> None:
    """A torn line may be longer than what is read at once."""
    path.write_bytes(LINES + b'{"uuid":"' + b"x" * size)
    File(path).open()
    assert path.read_bytes() == LINES


@pytest.mark.parametrize(
    "content", [b"[mysqld]\nport=3306", b'{"an": "object"}', b"\x00\x01", b'{\n  "pretty": 1\n}']
)
def test_a_file_of_another_program_is_left_alone(path: Path, content: bytes) -> None:
    """A slip in the path destroys nothing: only what may be part of a metric is cut."""
    path.write_bytes(content)
    sink = File(path)
    with pytest.raises(Unavailable) as caught:
        sink.open()
    assert (
        str(caught.value) == f"{path}: its last line has no end, and is no metric: is it the file?"
    )
    with pytest.raises(Unavailable):
        sink.write(batch_of(metric()))
    sink.close()
    assert path.read_bytes() == content


def test_a_batch_is_on_the_disk_before_it_is_accepted(path: Path, sink: File) -> None:
    """Before `write()` returns, the file is synced after the last byte, a new one's folder too."""
    calls: list[str] = []

    def seen(_frame: object, event: str, what: object) -> None:
        name = getattr(what, "__name__", "")
        if event == "c_call" and name in ("open", "write", "fsync"):
            calls.append(name)

    sys.setprofile(seen)
    try:
        sink.write(batch_of(metric(1)))
        sink.write(batch_of(metric(2)))
    finally:
        sys.setprofile(None)
    of_a_new_file = ["open", "open", "fsync", "write", "fsync"]
    assert calls == [*of_a_new_file, "write", "fsync"]


def test_rotation_is_followed(path: Path, sink: File) -> None:
    """After a rename the next batch goes to a new file at the path."""
    sink.write(batch_of(metric(1)))
    path.rename(path.with_suffix(".1"))
    sink.write(batch_of(metric(2)))
    path.unlink()
    sink.write(batch_of(metric(3)))
    assert values(path.with_suffix(".1")) == [1]
    assert values(path) == [3]


def test_a_file_put_in_its_place_is_followed(path: Path, sink: File) -> None:
    """A file that the rotation made itself is appended to."""
    sink.write(batch_of(metric(1)))
    path.rename(path.with_suffix(".1"))
    path.touch(0o600)
    sink.write(batch_of(metric(2)))
    assert values(path) == [2]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_emptied_in_place_is_followed(path: Path, sink: File) -> None:
    """Rotation that copies and truncates leaves no hole."""
    sink.write(batch_of(metric(1)))
    os.truncate(path, 0)
    sink.write(batch_of(metric(2)))
    assert values(path) == [2]


def test_rotation_while_waiting_for_the_lock(path: Path, sink: File) -> None:
    """A file that is rotated while another process holds it locked is not written to any more."""
    sink.write(batch_of(metric(1)))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=sink.write, args=[batch_of(metric(2))])
        waiting.start()
        time.sleep(0.1)
        assert waiting.is_alive()
        path.rename(path.with_suffix(".1"))
        fcntl.flock(other, fcntl.LOCK_UN)
        waiting.join(5)
    assert values(path.with_suffix(".1")) == [1]
    assert values(path) == [2]


def test_a_full_disk_leaves_whole_lines(path: Path, sink: File) -> None:
    """A batch for which there is no room leaves nothing behind, and goes in once there is."""
    batch = batch_of(metric(1), metric(2))
    sink.write(batch)
    size, limits = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, limits[1]))
    try:
        with pytest.raises(Unavailable) as caught:
            sink.write(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{path}: File too large"
    assert path.stat().st_size == size
    sink.write(batch)
    assert values(path) == [1, 2, 1, 2]


def test_two_processes_do_not_mix_their_lines(path: Path) -> None:
    """Batches of two processes come one after the other, whole."""
    with writer(path, 0, 60) as one, writer(path, 1000, 60) as other:
        one.communicate()
        other.communicate()
    found = values(path)
    assert sorted(found) == sorted([*range(60), *range(1000, 1060)] * 3)
    assert all(found[n] == found[n + 1] == found[n + 2] for n in range(0, len(found), 3))


def test_a_kill_at_any_moment_loses_nothing(path: Path) -> None:
    """After kill -9 there are only whole lines, with every batch that was accepted."""
    chance, accepted = random.Random(1), []
    for turn in range(6):
        with writer(path, turn * 1_000_000) as process:
            assert process.stdout is not None
            accepted.append(int(process.stdout.readline()))
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            accepted += [int(line) for line in process.stdout.read().split()]
        sink = File(path)
        sink.open()
        sink.close()
        found = values(path)
        assert all(found.count(value) == 3 for value in accepted)
    assert len(accepted) > 12


def test_a_problem_is_one_line_with_the_path(tmp_path: Path) -> None:
    """What cannot be appended to is named, at open, at check and at write."""
    folder, pipe = tmp_path / "folder", tmp_path / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    for path, words in [
        (folder, "folder: Is a directory"),
        (pipe, "pipe is no regular file"),
        (Path("/dev/full"), "/dev/full is no regular file"),
    ]:
        sink = File(path)
        for act in (sink.open, sink.check, lambda s=sink: s.write(batch_of(metric()))):
            with pytest.raises(Unavailable) as caught:
                act()
            assert str(caught.value).removeprefix(f"{tmp_path}/") == words


def test_a_missing_folder_is_one_line_with_the_path(tmp_path: Path) -> None:
    """The sink makes its file, not the folder; both `check()` and `write()` say so."""
    path = tmp_path / "none" / "x.jsonl"
    sink = File(path)
    sink.open()
    with pytest.raises(Unavailable) as caught:
        sink.check()
    assert str(caught.value) == f"{path}: there is no folder {path.parent}"
    with pytest.raises(Unavailable) as caught:
        sink.write(batch_of(metric()))
    assert str(caught.value) == f"{path}: No such file or directory"


def test_the_check_makes_nothing(path: Path, sink: File) -> None:
    """`check()` finds a file that could be made right, and makes none."""
    sink.check()
    assert list(path.parent.iterdir()) == []
    sink.write(batch_of(metric(1)))
    before = path.stat()
    sink.check()
    assert path.stat().st_mtime_ns == before.st_mtime_ns


AS_NOBODY = """
import os, sys
from pathlib import Path
from signals_core import Unavailable
from signals_core.builtin.file import File
os.setuid(65534)
for path in sys.argv[1:]:
    try:
        File(Path(path)).check()
        print("ok")
    except Unavailable as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user can only be had by root")
def test_missing_rights_are_one_line() -> None:
    """A file or a folder that may not be written to is told without writing to it."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "ours").touch(0o644)
        (folder / "open").mkdir(0o777)
        (folder / "open").chmod(0o777)
        paths = [str(folder / part) for part in ("ours", "new", "open/new")]
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *paths], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == [
            f"{folder}/ours: Permission denied",
            f"{folder}/new: the folder {folder} is not writable",
            "ok",
        ]
        assert list((folder / "open").iterdir()) == []


def test_a_closed_sink_can_be_opened_again(path: Path) -> None:
    """`close()` may come first, and twice."""
    sink = File(path)
    sink.close()
    for value in (1, 2):
        sink.open()
        sink.write(batch_of(metric(value)))
        sink.close()
        sink.close()
    assert values(path) == [1, 2]
