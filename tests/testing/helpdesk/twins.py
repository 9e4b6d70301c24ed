"""A suite for each plugin of a kind, the sound ones and the broken ones."""

from __future__ import annotations

from contextlib import contextmanager

import broken

TOKEN = "never-shown"
#: They wait or start processes: they run for what is sound, and where they are what must catch.
SLOW = {"cancel", "durable", "killed", "timeout"}


def suites_of(base, classes):
    """Return the suites of these classes by name."""
    return {f"Test{cls.__name__}": _suite_of(base, cls) for cls in classes}


def _suite_of(base, cls):
    known = {promise.name for promise in base.kit_promises}
    unwanted = (SLOW - broken.BREAKS.get(cls.__name__, SLOW)) & known
    left_out = dict.fromkeys(unwanted, "it is slow")
    given = {"cls": cls, "type": cls.__name__.lower(), "left_out": left_out}
    return type(base)(f"Test{cls.__name__}", (base,), given)


@contextmanager
def moved(folder):
    aside = folder.with_suffix(".aside")
    folder.rename(aside)
    yield
    aside.rename(folder)
