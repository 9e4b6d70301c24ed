"""The exceptions of signals, drawn once.

    SignalsError
    ├── ConfigError       mistakes in a configuration, all at once
    ├── DeliveryError     a reading that some sinks did not take
    ├── RowError          rows that cannot become metrics (also a ValueError)
    ├── NotDue            a window that cannot be read yet (also a ValueError)
    ├── PluginError       a type that cannot be used: unknown, broken or misdeclared
    ├── CannotListen      an address that cannot be had
    ├── Cancelled         a read that was told to stop
    ├── Unavailable       a source or receiver that cannot be reached
    ├── RetryAfter        the same, and not before so many seconds
    └── Rejected          content that a receiver will never take

Exceptions carry data; `str()` renders it in one place each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from signals_core.secret import mask

if TYPE_CHECKING:
    from signals_core.collector import Reading


class SignalsError(Exception):
    """The root of what signals raises on purpose: its text is one clear line for a person."""


@frozen
class Problem:
    """One mistake in a configuration: where it stands, what is wrong, what would be right."""

    message: str
    remedy: str = ""
    path: str = ""
    file: str = ""
    line: int = 0
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        key = f"{self.path}: " if self.path else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}{key}{self.message}{remedy}"


class ConfigError(SignalsError):
    """A configuration with mistakes; `problems` holds all of them, in reading order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DeliveryError(SignalsError):
    """A reading that not every sink took.

    `reading` is what was read, `delivered` the names of the sinks that have it, `failed` maps
    the names of the others to their reasons.
    """

    def __init__(
        self, reading: Reading, delivered: Iterable[str], failed: Mapping[str, str]
    ) -> None:
        self.reading = reading
        self.delivered = tuple(delivered)
        self.failed = dict(failed)
        reasons = "; ".join(f"sink {name}: {reason}" for name, reason in self.failed.items())
        others = f" (delivered to: {', '.join(self.delivered)})" if self.delivered else ""
        super().__init__(f"{reasons}{others}")


class RowError(SignalsError, ValueError):
    """Rows that cannot become metrics: the message names the row, the column and the remedy."""


class NotDue(SignalsError, ValueError):
    """A window that is asked for before it is due."""


class PluginError(SignalsError):
    """A type that cannot be used; `remedy` says what would help."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{reason} ({remedy})" if remedy else reason)


class CannotListen(SignalsError):
    """An address that cannot be listened on."""


class Cancelled(SignalsError):
    """Raised by `Request.check()` and `Request.wait()` when the run is to stop or is late."""


class Unavailable(SignalsError):
    """Raise it when the source or receiver cannot be reached: the pass ends and is tried again."""


class RetryAfter(SignalsError):
    """Raise it when the source or receiver asks for a pause of `seconds` before the next try."""

    def __init__(self, seconds: float, reason: str = "asked to wait") -> None:
        self.seconds = seconds
        self.reason = reason
        super().__init__(f"{reason}: try again after {seconds:g} s")


class Rejected(SignalsError):
    """Raise it from `Sink.write` when the receiver will never take this content.

    `indices` are the positions of the guilty metrics in the batch, None when the receiver does
    not say. Nothing of the batch counts as accepted: the rest is written again without them.
    """

    def __init__(self, reason: str, indices: Iterable[int] | None = None) -> None:
        self.reason = reason
        self.indices = None if indices is None else frozenset(indices)
        super().__init__(reason)


def reason_of(error: BaseException) -> str:
    """Return one masked line that says what went wrong; of a surprise also its kind."""
    text = " ".join(mask(str(error)).split())
    if text and not is_surprise(error):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_surprise(error: BaseException) -> bool:
    """Whether an exception is one that nobody raises on purpose for a person to read.

    Those are Python's own, such as `KeyError`; a driver's or a plugin's speaks for itself.
    """
    return type(error).__module__ == "builtins" and not isinstance(error, _SPEAK_FOR_THEMSELVES)


_SPEAK_FOR_THEMSELVES = (OSError, ValueError, RuntimeError)
