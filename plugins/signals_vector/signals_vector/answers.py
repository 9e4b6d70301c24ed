"""What a receiver's answer means for the batch that it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urljoin

from attrs import frozen

from signals_core import Rejected, RetryAfter, Unavailable
from signals_vector.address import shown

_REFUSALS = (400, 413, 422)
_BUSY = (429, 503)
_LONGEST_PAUSE = 86_400.0
_WORDS = 200
_MARKUP = re.compile(r"<(style|script).*?</\1>|<[^>]*>", re.DOTALL)


@frozen
class Answer:
    """A complete answer; of its body only as much as a message could quote."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        words = words_of(self.body)
        return f"{self.status} {self.reason}".strip() + (f": {words}" if words else "")


@frozen
class Problem:
    """What is wrong with an answer, in words without address, and the exception to make of it."""

    text: str
    error: Callable[[str], Exception] = Unavailable


def problem_of(answer: Answer, uri: str, now: datetime) -> Problem | None:
    """Return what is wrong with the answer to a request of `uri`, None when it accepts."""
    if 200 <= answer.status < 300:
        return None
    if answer.status in _REFUSALS:
        return Problem(str(answer), Rejected)
    if 300 <= answer.status < 400:
        return Problem(_redirected(answer, uri))
    pause = pause_of(answer.headers.get("Retry-After", ""), now)
    if answer.status in _BUSY and pause is not None:
        return Problem(str(answer), partial(RetryAfter, pause))
    return Problem(str(answer))


def pause_of(text: str, now: datetime) -> float | None:
    """Read a `Retry-After` header, seconds or a date, as seconds from `now`; a day at the most."""
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(0.0, seconds), _LONGEST_PAUSE)


def words_of(body: bytes) -> str:
    """Return the beginning of a body as one printable line, without markup."""
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = _MARKUP.sub(" ", text)
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"


def _redirected(answer: Answer, uri: str) -> str:
    status = f"{answer.status} {answer.reason}".strip()
    where = answer.headers.get("Location")
    if not where:
        return f"{status}: a redirect that does not say where to"
    final = shown(urljoin(uri, where))
    return f"{status}: a redirect to {final}, which is not followed: put the final address into uri"
