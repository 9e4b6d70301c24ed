"""The semantic cases in `tests/cases`, one parameter each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "cases"


def cases(name: str) -> Any:
    """Return the cases of one file as parameters, each with its number in the file."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=f"{name}{number}") for number, case in enumerate(found)]
