"""Opening a state directory: what is made, who may write, and what is refused with a remedy."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from signals_core.store import Letter, Store, StoreError, StoreFull, StoreLocked, schema
from signals_core.store.errors import explained, of_system
from store.made import KEY, START, commit, covering, reading, told, window

_HOLD = """
import sys
from pathlib import Path
from signals_core.store import Store
with Store.open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(folder):
    """Another process that has the state directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


@pytest.fixture
def closed(folder):
    """The file of a store with something in it, closed."""
    with Store.open(folder) as store:
        for hour in range(50):
            commit(store, reading(range(50), window(hour).end, window(hour)))
    return folder / "store.db"


def test_files_are_for_their_owner(folder):
    """The directory, the file, its log and the lock are for their owner only."""
    before = os.umask(0)
    try:
        with Store.open(folder) as store:
            commit(store, reading([1]))
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600} and {"store.db", "store.db-wal", "lock"} <= set(modes)


def test_how_sqlite_is_set(store):
    """The log is synced with every commit, and the file can shrink."""
    values = {
        name: store._database._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "auto_vacuum", "user_version")
    }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "auto_vacuum": 2,
        "user_version": schema.VERSION,
    }


def test_what_a_loss_of_power_may_undo(store):
    """Only an acknowledgement and a request's progress are not synced: both are done again."""

    def is_synced(transaction):
        transaction()
        return store._database._connection.execute("PRAGMA synchronous").fetchone() == (2,)

    request = store.request("backfill", {})
    assert is_synced(lambda: commit(store, reading([1, 2])))
    packed = store.pending("lake", metrics=1, bytes=10**6)
    assert not is_synced(lambda: store.acknowledge("lake", packed.items, at=START))
    letters = [Letter(packed.end.reading_id, 1, "no")]
    assert is_synced(lambda: store.bury("lake", letters, at=START))
    assert not is_synced(lambda: store.progress_request(request, {}))
    assert is_synced(lambda: store.finish_request(request, "done"))


def test_one_writer(folder, holder):
    """A second process is refused, and told which process has the directory."""
    with pytest.raises(StoreLocked, match=rf"in use by process {holder.pid} on .*--wait-lock"):
        Store.open(folder)


def test_one_writer_in_a_process(folder, store):
    """So is the same process."""
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        Store.open(folder)


def test_waiting_for_the_lock(folder, holder):
    """With `wait_seconds` the directory is taken over when the other process ends."""
    ending = threading.Timer(0.3, holder.stdin.close)
    ending.start()
    with Store.open(folder, wait_seconds=30) as store:
        assert store.runs() == []
    ending.join()


def test_a_killed_writer_leaves_no_lock(folder, holder):
    """The lock of a process that was killed is free."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Store.open(folder) as store:
        assert store.runs() == []


def test_looking_beside_the_writer(folder, store):
    """A reader needs no lock, sees what is committed, and cannot write."""
    with Store.look(folder) as reader:
        commit(store, reading([1], bucket=window()), coverage=(KEY, None, covering(0)))
        assert reader.coverage(KEY) == covering(0) and len(reader.runs()) == 1
        assert reader.outbox()[0].metrics == 1
        with pytest.raises(StoreError, match="cannot be written"):
            commit(reader, reading([1]))
    assert len(told(store)) == 1


def test_looking_after_the_writer(closed):
    """A reader sees a closed store, and a writer takes over behind it."""
    with Store.look(closed.parent) as reader:
        assert len(reader.runs()) == 50
    with Store.open(closed.parent) as store:
        assert len(store.runs()) == 50


def test_looking_where_there_is_nothing(folder):
    """A directory without a store is refused, and none is made."""
    with pytest.raises(StoreError, match=r"there is no store in .*--state-dir"):
        Store.look(folder)
    assert not folder.exists()


def test_closing_twice(folder):
    """A store may be closed twice."""
    store = Store.open(folder)
    store.close()
    store.close()
    with Store.open(folder) as again:
        assert again.runs() == []


@pytest.mark.parametrize("where", ["header", "pages", "cut off", "all"])
def test_a_damaged_file(closed, where):
    """A damaged file is refused with the remedy, and left as it is."""
    data = bytearray(closed.read_bytes())
    if where == "header":
        data[:16] = b"no database here"
    elif where == "pages":
        for page in range(1, len(data) // 4096):
            data[page * 4096 : page * 4096 + 64] = os.urandom(64)
    elif where == "cut off":
        del data[len(data) // 2 :]
    else:
        data = bytearray(os.urandom(len(data)))
    closed.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{closed} is damaged: .*backup"):
        Store.open(closed.parent)
    assert closed.read_bytes() == data


def test_damage_of_a_large_file(closed):
    """In a file too large to be checked whole, what decides which windows are read is checked."""
    with closing(sqlite3.connect(closed)) as connection:
        schema.refuse_damage(connection, closed, whole_bytes=0)
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'span'"
        ).fetchone()
    with closed.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with (
        closing(sqlite3.connect(closed)) as connection,
        pytest.raises(StoreError, match="is damaged"),
        explained(closed),
    ):
        schema.refuse_damage(connection, closed, whole_bytes=0)


def test_an_empty_file_is_not_begun_anew(closed):
    """A file that lost all its content is damaged, not new."""
    closed.write_bytes(b"")
    with pytest.raises(StoreError, match="is damaged: it is empty"):
        Store.open(closed.parent)
    with pytest.raises(StoreError, match="is damaged: it is empty"):
        Store.look(closed.parent)


def test_a_log_without_its_file(folder):
    """Where the file is gone and its log is not, no new file takes the log in."""
    store = Store.open(folder)
    commit(store, reading([1]))
    for name in ("store.db", "store.db-wal"):
        (folder / name).rename(folder / f"away-{name}")
    store.close()
    (folder / "away-store.db-wal").rename(folder / "store.db-wal")
    with pytest.raises(StoreError, match=r"the file is gone, and store\.db-wal beside it is not"):
        Store.open(folder)


def test_another_programs_database(folder):
    """A database of another program is refused and left alone."""
    folder.mkdir()
    other = sqlite3.connect(folder / "store.db")
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    for opening in (Store.open, Store.look):
        with pytest.raises(StoreError, match="a database of another program"):
            opening(folder)


def test_a_newer_schema(closed):
    """A store of a newer version is refused with the remedy."""
    newer = sqlite3.connect(closed)
    newer.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    newer.close()
    for opening in (Store.open, Store.look):
        with pytest.raises(StoreError, match=r"newer signals: .*upgrade signals"):
            opening(closed.parent)


def test_an_older_schema_is_not_looked_at(closed):
    """A reader does not upgrade: it says who does."""
    older = sqlite3.connect(closed)
    older.execute("PRAGMA user_version = 0")
    older.close()
    with pytest.raises(StoreError, match=r"older signals \(run `signals run` to upgrade it\)"):
        Store.look(closed.parent)


def test_an_upgrade_backs_up_first(closed):
    """An upgrade is one transaction, behind a whole copy of the file as it was."""
    connection = sqlite3.connect(closed, isolation_level=None)
    steps = {
        1: "CREATE TABLE first (a)",
        2: "CREATE TABLE second (a); INSERT INTO second VALUES (7)",
    }
    schema.upgrade(connection, closed, 1, steps, 3)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("SELECT a FROM second").fetchone() == (7,)
    connection.close()
    backup = closed.with_name("store.db.version-1")
    assert backup.stat().st_mode & 0o777 == 0o600
    backup.rename(closed)
    with Store.open(closed.parent) as store:
        assert len(store.runs()) == 50


def test_an_upgrade_that_fails_changes_nothing(closed):
    """Where a step fails none is done, and the store is what it was."""
    connection = sqlite3.connect(closed, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        schema.upgrade(connection, closed, 1, {1: "DROP TABLE run; DROP TABLE nowhere"}, 2)
    connection.close()
    with Store.open(closed.parent) as store:
        assert len(store.runs()) == 50


def test_what_a_killed_creation_left(folder):
    """A store that was being made when the process was killed is made again."""
    folder.mkdir()
    (folder / "store.db.new").write_bytes(b"SQLite format 3\x00 and no more")
    (folder / "store.db.new-wal").write_bytes(b"half")
    Store.open(folder).close()
    assert {path.name for path in folder.iterdir()} == {"store.db", "lock"}


def test_a_directory_that_cannot_be_made(tmp_path):
    """Where the directory cannot be made or is a file, that is said with the remedy."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "state", Path("/proc/signals")):
        with pytest.raises(StoreError, match=rf"{folder}: .* \(make it writable"):
            Store.open(folder)


def test_a_directory_that_cannot_be_written():
    """A directory in which no file can be made is refused with the remedy."""
    with pytest.raises(StoreError, match=r"/proc/self/lock: .* \(make it writable"):
        Store.open(Path("/proc/self"))


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOLCK, StoreError, "no working locks"),
        (errno.EOPNOTSUPP, StoreError, "no working locks"),
        (errno.ENOSPC, StoreFull, "no room to write"),
        (errno.EROFS, StoreError, "make it writable"),
    ],
)
def test_what_the_file_system_says(number, kind, words):
    """Each complaint of the file system has its meaning and its remedy."""
    error = of_system(OSError(number, os.strerror(number)), Path("/state/lock"))
    assert type(error) is kind and words in str(error) and "/state" in str(error)
