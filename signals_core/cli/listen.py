"""`--listen`: where `signals run` shows telemetry, health and the status page, and to whom."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from signals_core.cli.state import left_out

if TYPE_CHECKING:
    from signals_core.config import Loaded
    from signals_core.facts import Configured
    from signals_core.runner import Runner
    from signals_core.web.access import Access
    from signals_core.web.server import Address

_log = logging.getLogger("signals.run")

_TOKEN = "SIGNALS_LISTEN_TOKEN"  # noqa: S105 - the name of a variable

F = TypeVar("F", bound=Callable[..., Any])


class _Listen(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """An address such as `127.0.0.1:9464`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the address."""
        from signals_core.web.server import Address

        try:
            return Address.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


def listen_options(command: F) -> F:
    """Add `--listen` and `--listen-insecure`."""
    listen = click.option(
        "--listen",
        type=_Listen(),
        metavar="HOST:PORT",
        help="Show telemetry, health and a status page there, as in 127.0.0.1:9464.",
    )
    insecure = click.option(
        "--listen-insecure",
        is_flag=True,
        help=f"Let anybody look who can reach the address, without {_TOKEN}.",
    )
    return listen(insecure(command))


def access_to(address: Address | None, *, insecure: bool) -> Access | None:
    """Return who may look at an address; None without one. Raises `UsageError`."""
    from signals_core.secret import remember

    if address is None:
        if insecure:
            raise click.UsageError("--listen-insecure says how: say where with --listen HOST:PORT")
        return None
    from signals_core.web.access import SHORTEST_TOKEN, Access

    token = os.environ.get(_TOKEN) or None
    if token is not None:
        remember(token)
        if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
            raise click.UsageError(
                f"{_TOKEN} needs {SHORTEST_TOKEN} ASCII characters or more (as printed by "
                "`openssl rand -hex 16`)"
            )
    elif not (address.is_loopback or insecure):
        raise click.UsageError(
            f"others can reach {address}: set {_TOKEN} to {SHORTEST_TOKEN} characters or more, "
            "which they then need (or let anybody look with --listen-insecure)"
        )
    return Access(address, token)


@contextmanager
def listening(
    access: Access | None, runner: Runner, state_dir: Path, loaded: Loaded
) -> Iterator[Callable[[Configured], None]]:
    """Show a runner while what is inside goes on, if there is an address.

    Yields what is to be called when the configuration was read again. Raises `CannotListen` where
    the address cannot be had.
    """
    if access is None:
        yield lambda _: None
        return
    from signals_core.facts import Configured
    from signals_core.web.server import Server
    from signals_core.web.site import Site

    problems = [str(each) for each in loaded.problems]
    configured = Configured(datetime.now(UTC), left_out(loaded), problems)
    site = Site(runner, state_dir, configured)
    server = Server(site.app(access), access.address)
    _log.info("listening on http://%s", server.address)
    server.start()
    try:
        yield lambda configured: setattr(site, "configured", configured)
    finally:
        server.stop()
