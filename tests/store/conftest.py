"""A store for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signals_core.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state directory that is not there yet."""
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """An open store."""
    with Store.open(folder) as opened:
        yield opened
