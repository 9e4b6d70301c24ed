"""The suites of the schedules."""

from __future__ import annotations

import broken
import pytest
from helpdesk import Hourly
from twins import suites_of

from signals_core.testing import ScheduleSuite


class HourlySuite(ScheduleSuite):
    """What the schedules share."""

    cls = Hourly

    @pytest.fixture
    def schedule(self):
        return self.cls()


globals().update(suites_of(HourlySuite, [Hourly, *broken.SCHEDULES]))
