"""A store on disk with couriers, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from parts.outgoing import Outgoing


@pytest.fixture
def outgoing(tmp_path: Path) -> Iterator[Outgoing]:
    """Yield couriers that draw the same lots in every run."""
    made = Outgoing(tmp_path / "state", random=Random(5).uniform)
    yield made
    made.close()


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Outgoing]:
    """Yield couriers whose jitter is the most it can be, so that their pauses are known."""
    made = Outgoing(tmp_path / "state", random=lambda _low, high: high)
    yield made
    made.close()
