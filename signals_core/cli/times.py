"""Times as they are given on the command line."""

from __future__ import annotations

from datetime import datetime

import click

from signals_core.collector import Collector
from signals_core.window import zone_named


def moment_of(text: str, collector: Collector, option: str) -> datetime:
    """Read a date or a time; without a zone it is in the collector's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no date or time (write it like 2026-01-31 or 2026-01-31T06:00Z)",
            param_hint=option,
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone_named(collector.timezone))
