"""What the core's tests share: the semantic cases, and a folder of plugins without pip."""

from __future__ import annotations

import pytest

from parts.clock import ManualClock
from parts.distributions import PluginFolder
from signals_core import secret


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Start each test without the secrets of others, whose short ones would riddle its texts."""
    known = secret._known
    before = known._values, known._pattern
    known._values, known._pattern = set(), None
    yield
    known._values, known._pattern = before


@pytest.fixture
def clock():
    """A clock that stands still until it is told to move."""
    return ManualClock()


@pytest.fixture
def plugins(tmp_path):
    """A folder that becomes a place for distributions without pip."""
    return PluginFolder(tmp_path / "site")
