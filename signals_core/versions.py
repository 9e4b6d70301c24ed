"""The versions of readings: strictly later ones for each collector, whoever reads."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

_MOMENT = timedelta(microseconds=1)


class Versions:
    """The latest version of each collector, by its id."""

    def __init__(self) -> None:
        self._latest: dict[str, datetime] = {}
        self._lock = Lock()

    def heard(self, collector_id: str, version: datetime | None) -> None:
        """Take note of a version that was given elsewhere; None: of none."""
        if version is not None:
            with self._lock:
                latest = self._latest.get(collector_id, version)
                self._latest[collector_id] = max(latest, version)

    def next(self, collector_id: str, began: datetime) -> datetime:
        """Return the version of a reading: when it began, but later than any earlier one's."""
        with self._lock:
            latest = self._latest.get(collector_id)
            version = began if latest is None else max(began, latest + _MOMENT)
            self._latest[collector_id] = version
        return version
