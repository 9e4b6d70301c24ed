"""The suites of the sources."""

from __future__ import annotations

import json
from pathlib import Path

import broken
import pytest
from helpdesk import Ledger
from twins import TOKEN, moved, suites_of

from signals_core import Secret
from signals_core.testing import SourceSuite


class LedgerSuite(SourceSuite):
    """What the sources share."""

    cls = Ledger
    query = Ledger.Query()
    endless = Ledger.Query("endless")
    slow = Ledger.Query("slow")
    many = Ledger.Query("all")
    wrong = Ledger.Query("nothing")
    failing = Ledger.Query("gone")
    patience = 2.0

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "ledger"
        folder.mkdir()
        self.write(folder, 1)
        return folder

    def write(self, folder, value):
        rows = (
            {"kind": f"k{n % 5}", "value": value, "at": "2026-01-01T12:00:00Z"} for n in range(50)
        )
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    @pytest.fixture
    def source(self, folder):
        return self.cls(folder, Secret(TOKEN))

    @pytest.fixture
    def unreachable(self, tmp_path):
        return self.cls(tmp_path / "nowhere", Secret(TOKEN))

    @pytest.fixture
    def change(self, folder):
        return lambda: self.write(folder, 2)

    @pytest.fixture
    def down(self, folder):
        return lambda: moved(folder)


globals().update(suites_of(LedgerSuite, [Ledger, *broken.SOURCES]))
