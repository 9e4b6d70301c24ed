"""Killed anywhere: no window is missing, none is doubled, every number is the query's own.

A real daemon reads a real Postgres while windows close each second, and delivers to the sink
`postgres` and over HTTP. It is killed with SIGKILL at random moments, at its start too, and started
again; now and then the Postgres is crashed, and the receiver answers 500 or hangs up. Then it is
left alone until all is quiet, and what the receivers hold is compared with what the collectors'
queries answer.

The kills go in rounds, each with a seed of its own that decides every moment. A failure says how
its round is played again. Environment variables:

    SIGNALS_KILLS        how many kills in all: 50 in CI, else 10. The long form is 1000, for half
                         an hour: SIGNALS_KILLS=1000 pytest tests/killed
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


@pytest.fixture(scope="module")
def server(make_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    """Return a server that may be crashed, whose commits do not wait for the disk unasked."""
    server = make_postgres()
    server.execute("ALTER SYSTEM SET synchronous_commit = off")
    server.execute("SELECT pg_reload_conf()")
    return server


@pytest.mark.parametrize(("number", "kills"), list(enumerate(ROUNDS)))
def test_killed_anywhere(
    number: int, kills: int, server: PostgresServer, receiver: Receiver, tmp_path: Path
) -> None:
    """A daemon that was killed at random moments has lost nothing and counted nothing twice."""
    seed = SEED + number
    shop_name, lake_name = f"shop_{number}", f"lake_{number}"
    server.execute(f"CREATE DATABASE {shop_name}")
    server.execute(f"CREATE DATABASE {lake_name}")
    lake = server.uri_of(lake_name)
    shop = Shop(server.uri_of(shop_name), seed)
    write_project(tmp_path, shop, lake, receiver.uri)
    daemon = Daemon(tmp_path)
    again = f"SIGNALS_KILLS={kills} SIGNALS_KILLS_SEED={seed} pytest tests/killed"
    try:
        shop.open()
        harass(daemon, server, receiver, random.Random(seed), kills)
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
    daemon: Daemon, server: PostgresServer, receiver: Receiver, chance: random.Random, kills: int
) -> None:
    """Start the daemon and kill it, so many times, among other mishaps."""
    for _ in range(kills):
        misbehave(receiver, chance)
        crash_after, kill_after = chance.random(), chance.random()
        is_crash, is_early = chance.random() < 0.1, chance.random() < 0.25
        daemon.start()
        if not is_early:
            daemon.wait_until_running()
        if is_crash:
            time.sleep(0.5 * crash_after)
            server.restart()
        time.sleep((0.6 if is_early else 0.8) * kill_after)
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
