"""Who may look."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from parts.command import Signals
from parts.daemon import Daemon, make_level, until
from signals_core.web.access import Access
from signals_core.web.app import Request
from signals_core.web.server import Address

TOKEN = "0123456789abcdef"
LOOPBACK = Address("127.0.0.1", 9464)
OUTSIDE = Address("192.0.2.7", 9464)


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def status(access: Access, path: str = "/metrics", **headers: str) -> int:
    refusal = access(Request(path, headers=headers))
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer", 401),
        ("Bearer caf\xe9", 401),
        (TOKEN, 401),
        (f"Token {TOKEN}", 401),
        (basic("anybody", TOKEN), 200),
        (basic("", TOKEN), 200),
        (basic(TOKEN, ""), 401),
        (basic("anybody", TOKEN[:-1]), 401),
        ("Basic %%%", 401),
        ("Basic", 401),
    ],
)
def test_token(given: str, expected: int) -> None:
    """The token opens, as a bearer's or as a password; nothing else does."""
    assert status(Access(OUTSIDE, TOKEN), authorization=given) == expected
    assert status(Access(LOOPBACK, TOKEN), authorization=given) == expected


def test_asks_for_the_token() -> None:
    """A browser is asked to log in, and nobody is told the token."""
    access = Access(OUTSIDE, TOKEN)
    refusal = access(Request("/metrics"))
    assert refusal is not None
    assert refusal.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert TOKEN not in f"{refusal} {access!r}"


def test_probes_need_no_token() -> None:
    """Health and readiness are told to anybody, and nothing that only looks like them."""
    access = Access(OUTSIDE, TOKEN)
    assert [status(access, path) for path in ("/healthz", "/readyz")] == [200, 200]
    paths = ("/healthz/", "/healthz/x", "/", "/readyz/../metrics")
    assert [status(access, path) for path in paths] == [401] * 4


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:9464", 200),
        ("127.0.0.1", 200),
        ("127.1.2.3:1", 200),
        ("localhost:9464", 200),
        ("LOCALHOST.", 200),
        ("[::1]:9464", 200),
        ("evil.example:9464", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1:9464,evil.example", 421),
        ("192.0.2.7:9464", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_other_names(host: str, expected: int) -> None:
    """On loopback a request must name this machine: a name from elsewhere may lead here."""
    assert status(Access(LOOPBACK), host=host) == expected
    assert status(Access(LOOPBACK), "/healthz", host=host) == expected


def test_names_elsewhere() -> None:
    """A client that names no host is no browser; and other addresses have what names they like."""
    assert status(Access(LOOPBACK)) == 200
    assert (
        status(Access(OUTSIDE, TOKEN), host="signals.example", authorization=f"Bearer {TOKEN}")
        == 200
    )


@pytest.mark.parametrize(
    ("arguments", "token", "said"),
    [
        (
            ["--listen", "0.0.0.0:0"],
            None,
            (
                "others can reach 0.0.0.0:0: set SIGNALS_LISTEN_TOKEN to 16 characters or more, "
                "which they then need (or let anybody look with --listen-insecure)"
            ),
        ),
        (
            ["--listen", "[::]:0"],
            "",
            (
                "others can reach [::]:0: set SIGNALS_LISTEN_TOKEN to 16 characters or more, which"
                " they then need (or let anybody look with --listen-insecure)"
            ),
        ),
        (
            ["--listen", "127.0.0.1:0"],
            "hunter2",
            (
                "SIGNALS_LISTEN_TOKEN needs 16 ASCII characters or more (as printed by"
                " `openssl rand -hex 16`)"
            ),
        ),
        (
            ["--listen-insecure"],
            None,
            "--listen-insecure says how: say where with --listen HOST:PORT",
        ),
    ],
    ids=["outside", "empty", "short", "nowhere"],
)
def test_refused(
    arguments: list[str], token: str | None, said: str, project: Path, signals: Signals
) -> None:
    """What would let anybody look without being told to ends with 2 and what to do."""
    make_level(project)
    env = {} if token is None else {"SIGNALS_LISTEN_TOKEN": token}
    done = signals("run", *arguments, env=env)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "hunter2" not in done.stderr


def test_from_outside(project: Path) -> None:
    """On every address the token is asked for, by each page but the probes."""
    make_level(project)
    env = {"SIGNALS_LISTEN_TOKEN": TOKEN}
    with Daemon(project, "-vv", "--listen", "0.0.0.0:0", env=env) as daemon:
        until(lambda: daemon.get("/readyz")[0] == 200)
        assert daemon.get("/metrics")[0] == 401
        assert daemon.get("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert daemon.get("/metrics", Authorization=basic("me", TOKEN))[0] == 200
        assert daemon.get(f"/{TOKEN}", Authorization=f"Bearer {TOKEN}")[0] == 404
        assert daemon.stop() == 0
    assert TOKEN not in daemon.said


def test_insecure(project: Path) -> None:
    """With --listen-insecure anybody may look."""
    make_level(project)
    with Daemon(project, "--listen", "0.0.0.0:0", "--listen-insecure") as daemon:
        until(lambda: daemon.get("/readyz")[0] == 200)
        assert daemon.get("/metrics", Host="signals.example")[0] == 200
