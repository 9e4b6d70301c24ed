"""No room: nothing is changed, that is said, and it goes on once there is room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from signals_core.store import Store, StoreError, StoreFull
from store.made import HOUR, KEY, START, commit, covering, reading, told, window


def limit_pages(store, pages):
    """Let the store's file have no more pages than so many beside those it has."""
    connection = store._database._connection
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {count + pages}")


def test_a_full_disk_changes_nothing(store):
    """A commit without room leaves no trace; the next one with room does all of it."""
    commit(store, reading([1], START, window(0)), coverage=(KEY, None, covering(0)))
    limit_pages(store, 0)
    large = reading(range(2000), START + HOUR, window(1))
    for _ in range(3):
        with pytest.raises(StoreFull, match=r"no room to write .*nothing was changed.*make room"):
            commit(store, large, coverage=(KEY, covering(0), covering(0, 1)))
        assert len(store.runs()) == 1 and told(store) == [(1, 1)]
        assert store.coverage(KEY) == covering(0) and store.last_version(KEY[0]) == START
    limit_pages(store, 10_000)
    commit(store, large, coverage=(KEY, covering(0), covering(0, 1)))
    assert len(told(store)) == 2001 and store.coverage(KEY) == covering(0, 1)


def test_a_full_disk_lets_deliveries_go_on(store):
    """What is pending can be read, and a small acknowledgement finds room in the file."""
    commit(store, reading([1, 2]))
    limit_pages(store, 0)
    with pytest.raises(StoreFull):
        commit(store, reading(range(2000), START + HOUR))
    store.acknowledge("lake", store.pending("lake", metrics=9, bytes=10**6).items, at=START)
    assert told(store) == []


def test_a_full_disk_is_told_until_a_reading_has_room(store):
    """That a reading finds no room is told while what is smaller does, until it is kept."""
    commit(store, reading([1, 2]))
    limit_pages(store, 0)
    with pytest.raises(StoreFull):
        commit(store, reading(range(2000), START + HOUR))
    store.acknowledge("lake", store.pending("lake", metrics=9, bytes=10**6).items, at=START)
    store.try_to_write()
    assert "no room to write" in store.trouble
    limit_pages(store, 10_000)
    commit(store, reading(range(2000), START + HOUR))
    assert store.trouble is None


_LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store.made import START, HOUR, commit, reading, told
from signals_core.store import Store, StoreFull
store = Store.open(Path(sys.argv[1]))
commit(store, reading([1]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
try:
    commit(store, reading(range(5000), START + HOUR))
except StoreFull as error:
    print(error)
assert told(store) == [(1, 1)] and len(store.runs()) == 1
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
commit(store, reading(range(5000), START + HOUR))
print(len(told(store)))
"""


def test_what_the_system_refuses_to_write(folder):
    """Where the system ends a write in its middle nothing was changed either."""
    tests = str(Path(__file__).parent.parent)
    ran = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(folder), tests],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said, count = ran.stdout.splitlines()
    assert "no room to write" in said and count == "5001"
    with Store.open(folder) as store:
        assert len(told(store)) == 5001


_NO_ROOM = """
import resource, sys
from pathlib import Path
from signals_core.store import Store, StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    Store.open(Path(sys.argv[1]))
except StoreError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("room", [0, 1000, 5000, 50_000])
def test_no_room_at_the_start(folder, room):
    """A store that finds no room to be made says so, and is made when there is."""
    ran = subprocess.run(
        [sys.executable, "-c", _NO_ROOM, str(folder), str(room)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.startswith("StoreFull no room to write"), ran.stderr
    assert ran.stdout.count("\n") == 1
    with Store.open(folder) as store:
        assert store.runs() == []


def test_full_is_a_store_error():
    """Who only knows StoreError is told too."""
    assert issubclass(StoreFull, StoreError)
