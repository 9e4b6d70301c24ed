"""Killed anywhere: no window is missing, none is doubled, every number is the query's own.

A real daemon reads a real Postgres while windows close each second, and delivers to the sink
`postgres` and over HTTP. It is killed with SIGKILL at random moments, at its start too, and started
again; now and then a Postgres is crashed, the source's or the sink's, and the receiver answers 500
or hangs up. Then it is left alone until all is quiet, and what the receivers hold is compared with
what the collectors' queries answer. Windows that are revised and a snapshot's buckets take part.

The kills go in rounds, each with a seed of its own that decides every moment. A failure says how
its round is played again. Environment variables:

    SIGNALS_KILLS        how many kills in all: 50 in CI, else 10. The long form, of 20 minutes:
                         SIGNALS_KILLS=1000 pytest tests/killed
    SIGNALS_KILLS_SEED   the seed of the first round; those of the others follow it

A round that fails has shown a bug, even if it passes when it is played again: what the machine does
between the moments is not in the seed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import frozen

from killed.daemon import Daemon
from killed.ledger import mistakes
from killed.project import write_project
from killed.shop import REVISED, SECOND, Shop
from parts.postgres import PostgresServer
from parts.receiver import Receiver

ROUND = 25
KILLS = int(os.environ.get("SIGNALS_KILLS", "50" if os.environ.get("CI") else "10"))
SEED = int(os.environ.get("SIGNALS_KILLS_SEED", str(random.SystemRandom().getrandbits(32))))
QUIET = timedelta(seconds=40)

ROUNDS = [min(ROUND, KILLS - begun) for begun in range(0, KILLS, ROUND)]


@frozen
class Servers:
    """The server of the shop and that of the sink."""

    shop: PostgresServer
    lake: PostgresServer


@pytest.fixture(scope="module")
def servers(make_postgres: Callable[..., PostgresServer]) -> Servers:
    """Return servers that may be crashed. The sink's would lose what nobody asks it to keep."""
    servers = Servers(make_postgres(), make_postgres())
    for setting in ("synchronous_commit = off", "wal_writer_delay = '10s'"):
        servers.lake.execute(f"ALTER SYSTEM SET {setting}")
    servers.lake.execute("SELECT pg_reload_conf()")
    return servers


@pytest.mark.parametrize(("number", "kills"), list(enumerate(ROUNDS)))
def test_killed_anywhere(
    number: int, kills: int, servers: Servers, receiver: Receiver, tmp_path: Path
) -> None:
    """A daemon that was killed at random moments has lost nothing and counted nothing twice."""
    seed = SEED + number
    database = f"round_{number}"
    servers.shop.execute(f"CREATE DATABASE {database}")
    servers.lake.execute(f"CREATE DATABASE {database}")
    lake = servers.lake.uri_of(database)
    shop = Shop(servers.shop.uri_of(database), seed)
    write_project(tmp_path, shop, lake, receiver.uri)
    daemon = Daemon(tmp_path)
    again = f"SIGNALS_KILLS={kills} SIGNALS_KILLS_SEED={seed} pytest tests/killed"
    try:
        shop.open()
        harass(daemon, servers, receiver, random.Random(seed), kills)
        daemon.start()
        shop.close()
        found = once_quiet(daemon, shop, lambda: mistakes(shop, lake, receiver))
    except BaseException as error:
        error.add_note(f"{again}\n{daemon.last_words()}")
        raise
    finally:
        daemon.end()
    assert not found, "\n".join([*found, again, daemon.last_words()])


def harass(
    daemon: Daemon, servers: Servers, receiver: Receiver, chance: random.Random, kills: int
) -> None:
    """Start the daemon and kill it, so many times, among other mishaps.

    A quarter of the kills hit it while it starts; half of the others, and of the crashes, come
    right after it has written to its store, where a mistake in the order of things would show.
    """
    for _ in range(kills):
        misbehave(receiver, chance)
        early, crash, aimed = (chance.random() < share for share in (0.25, 0.16, 0.5))
        crashing = chance.choice([servers.shop, servers.lake])
        first, second, instant = chance.random(), chance.random(), 0.004 * chance.random()
        daemon.start()
        if early:
            time.sleep(0.6 * first)
        else:
            daemon.wait_until_running()
            time.sleep(0.7 * first)
        if aimed and not early:
            daemon.wait_for_commit()
            time.sleep(instant)
        if crash:
            crashing.restart()
            time.sleep(0.7 * second)
        daemon.kill()
    receiver.behave()


def misbehave(receiver: Receiver, chance: random.Random) -> None:
    """Have the receiver do right half of the time, and else what a broken one does."""
    receiver.behave()
    fault = chance.choice(["", "", "", "hang_up", "reset", "once"])
    if fault == "once":
        receiver.answer(500, times=chance.randint(1, 3))
    elif fault:
        receiver.fail(fault)


def once_quiet(daemon: Daemon, shop: Shop, look: Callable[[], list[str]]) -> list[str]:
    """Let the daemon run until nothing is wrong, or time is up; what is wrong then, at rest."""
    last_revision = shop.end + REVISED
    deadline = last_revision + QUIET
    while (now := datetime.now(UTC)) < last_revision + SECOND or (now < deadline and look()):
        daemon.must_run()
        time.sleep(0.5)
    daemon.stop()
    return [*look(), *daemon.left_over()]
