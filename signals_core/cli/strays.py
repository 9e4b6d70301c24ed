"""What others say on standard error by themselves: said as our own events are, and masked.

A driver's logger that nobody listens to, a warning, a thread that ends by an exception: Python
would print them as they are, with what is secret in them.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings

from signals_core.cli.logs import formatter
from signals_core.errors import reason_of

_log = logging.getLogger("signals")


def listen_to_strays(log_format: str = "plain") -> None:
    """Have them said as lines of `log_format`; may be called again."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(formatter(log_format))
    logging.lastResort = handler
    warnings.showwarning = _warned
    threading.excepthook = _thread_ended
    sys.unraisablehook = _ignored


def _warned(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    logging.getLogger("py.warnings").warning("%s: %s", category.__name__, message)


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = ended.thread.name if ended.thread else "?"
        reason = reason_of(ended.exc_value)
        _log.error("thread %s ended: %s", name, reason, exc_info=_traced(ended.exc_value))


def _ignored(ignored: sys.UnraisableHookArgs) -> None:
    if ignored.exc_value is not None:
        what = ignored.err_msg or "an exception that nobody could take"
        reason = reason_of(ignored.exc_value)
        _log.warning("%s: %s", what, reason, exc_info=_traced(ignored.exc_value))


def _traced(error: BaseException) -> BaseException | None:
    return error if _log.isEnabledFor(logging.DEBUG) else None
