"""What the sink verifies of a server over TLS, and what it shows of itself."""

from __future__ import annotations

import ssl
from pathlib import Path

from signals_core import Unavailable


def client_context(
    *, verify: bool, ca_file: Path | None, cert: Path | None, key: Path | None
) -> ssl.SSLContext:
    """Read the files into a context. Raises `Unavailable`, naming the one that is of no use."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Unavailable(f"ca_file {ca_file}: {_reason(error)}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        _show(context, cert, key)
    return context


def _show(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    files = f"client_cert {cert}" + (f" and client_key {key}" if key else "")

    def no_pass_phrase() -> bytes:
        # Without this OpenSSL would ask for it at the terminal.
        raise Unavailable(f"{files}: the key has a pass phrase, which cannot be given")

    try:
        context.load_cert_chain(cert, key, password=no_pass_phrase)
    except OSError as error:
        raise Unavailable(f"{files}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM file").lower().replace("_", " ")
    return str(error.strerror).lower()
