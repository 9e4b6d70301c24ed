"""What the core's tests share: the semantic cases, and a folder of plugins without pip."""

from __future__ import annotations

import pytest

from parts.clock import ManualClock
from parts.distributions import PluginFolder


@pytest.fixture
def clock():
    """A clock that stands still until it is told to move."""
    return ManualClock()


@pytest.fixture
def plugins(tmp_path):
    """A folder that becomes a place for distributions without pip."""
    return PluginFolder(tmp_path / "site")
