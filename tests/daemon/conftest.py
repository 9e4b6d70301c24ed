"""A runner on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.running import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Yield a state directory, a clock, a source and a sink; whatever runs is stopped."""
    made = Rig(tmp_path / "state")
    yield made
    made.stop()
