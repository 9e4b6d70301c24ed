"""The suites of the sinks."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import broken
import pytest
from helpdesk import Shelf, SlowShelf
from twins import TOKEN, moved, suites_of

from signals_core import Metric, Secret
from signals_core.testing import SinkSuite, metric


class ShelfSuite(SinkSuite):
    """What the sinks share."""

    cls = Shelf
    poison = metric(name="kit.poison")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "shelf"
        folder.mkdir()
        (folder / "metrics.jsonl").touch()
        return folder

    @pytest.fixture
    def sink(self, folder):
        return self.cls(folder, Secret(TOKEN))

    @pytest.fixture
    def received(self, folder):
        file = folder / "metrics.jsonl"
        return lambda: [Metric.decode(line) for line in file.read_bytes().splitlines()]

    @pytest.fixture
    def unreachable(self, tmp_path):
        return self.cls(tmp_path / "nowhere", Secret(TOKEN))

    @pytest.fixture
    def down(self, folder):
        return lambda: moved(folder)

    @pytest.fixture
    def busy(self, folder):
        @contextmanager
        def busy():
            (folder / "busy").touch()
            yield
            (folder / "busy").unlink()

        return busy


globals().update(suites_of(ShelfSuite, [Shelf, SlowShelf, *broken.SINKS]))
globals()["TestWritesSlowly"].patience = 4.0
