"""How log lines are written: one line an event, masked."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from signals_core.phrases import printable
from signals_core.secret import mask


def formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of a format: `plain`, `text` (with the time) or `json`."""
    if log_format == "json":
        return _Json()
    plain = "%(levelname)s %(name)s: %(message)s"
    return _Text(plain if log_format == "plain" else f"%(asctime)s {plain}")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(mask(super().format(record)))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the names of logging
        return _instant(record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if record.exc_info:
            event["traceback"] = mask(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=False)


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
