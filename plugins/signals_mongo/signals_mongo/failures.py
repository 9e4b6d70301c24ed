"""The driver's errors as one clear line each; a password is never part of it."""

from __future__ import annotations

import re

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from signals_core import Unavailable

_AUTHENTICATION_FAILED = 18
_NO_SPILLING = {146, 292}  # ExceededMemoryLimit, QueryExceededMemoryLimitNoDiskUseAllowed

_MALFORMED = (
    "the uri is no MongoDB URI, as mongodb://USER:PASSWORD@HOST:PORT/ (in user and password, "
    "percent-encode : / ? # [ ] @ and %)"
)


def hosts_in(uri: str) -> str:
    """Return the hosts of a MongoDB URI, which may be shown.

    Raises `ValueError` for a URI whose password cannot be told from its host.
    """
    _, _, rest = uri.partition("://")
    authority, *path = re.split("[/?#]", rest or uri, maxsplit=1)
    if any("@" in part for part in path):
        raise ValueError(_MALFORMED)
    return authority.rpartition("@")[2]


def malformed_uri() -> ValueError:
    """Return the error for a URI that the driver refuses; its own words may quote a part of it."""
    return ValueError(_MALFORMED)


def failure(error: PyMongoError, hosts: str) -> Exception:
    """Return what to raise for an error of the driver."""
    if isinstance(error, (ConnectionFailure, ConfigurationError)):
        return Unavailable(f"mongodb at {hosts}: {_reason(error)}")
    if isinstance(error, OperationFailure):
        return _refusal(error, hosts)
    return RuntimeError(f"mongodb at {hosts}: {_reason(error)}")


def _refusal(error: OperationFailure, hosts: str) -> Exception:
    if error.code == _AUTHENTICATION_FAILED:
        return Unavailable(
            f"mongodb at {hosts}: authentication failed (check user, password and authSource)"
        )
    name = (error.details or {}).get("codeName") or error.code
    line = f"mongodb at {hosts}: {name}: {_reason(error)}"
    if error.code in _NO_SPILLING:
        line += " (no query may spill to disk: match less, or group by fewer keys)"
    return RuntimeError(line)


def _reason(error: PyMongoError) -> str:
    """Return the essential of the driver's text, which appends dumps of all it knows."""
    text = str((error.details or {}).get("errmsg") if isinstance(error, OperationFailure) else "")
    text = text or str(error)
    text = text.partition(", Timeout:")[0].partition(", full error:")[0]
    text = text.partition(" to execute command")[0]
    text = re.sub(r"^(Plan)?Executor error during \w+ :: caused by :: ", "", text)
    text = re.sub(r" \(configured timeouts:[^)]*\)|\[Errno -?\d+\] ", "", text)
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}…"
