"""Secrets are planted wherever one fits, and looked for in all that processes ever write.

Each has a core of its own, and what would have to be escaped around it: the core is found however a
leak spells the rest.
"""

from __future__ import annotations

import base64
import html
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from parts.command import Signals
from parts.daemon import Daemon
from parts.mongo import running_mongod
from parts.postgres import PostgresServer
from parts.receiver import Receiver

Env = dict[str, str]

#: Where they stand: in files that are referred to, in variables, or in YAML itself.
FILES = "shop basic in_sql owner limit plugin nested".split()
VARIABLES = "token archive variable listen".split()
WRITTEN = """
    wrong libpq documents header userinfo parameter default
    syntax alias braces misplaced listed unknown
""".split()
ESCAPED = "shop basic owner plugin nested variable".split()
NASTY = "p'ä\"\\%/@: {}"


def core(name: str) -> str:
    """Return what is looked for."""
    return f"core{name.replace('_', '')}x{name.replace('_', '')[::-1]}"


def secret(name: str) -> str:
    """Return a secret that has to be escaped nearly anywhere, where it may hold anything."""
    return (
        NASTY if (name in FILES and name not in ("limit", "in_sql")) or name == "variable" else ""
    ) + core(name)


PLUGIN = '''
import logging
import threading
import warnings

from attrs import define, field
from signals_core import Rejected, Secret, Sink, Source, hookimpl

_theirs = logging.getLogger("some.library")


@define
class Part:
    """A part."""

    key: Secret = Secret("coredefaultxtluafed")


@define
class Careless(Source):
    """Repeats what it must not, in every way there is."""

    password: Secret
    part: Part
    when: str = "open"

    @define
    class Query:
        """What to count."""

        sql: str = ""

    def _blurt(self, when):
        if self.when != when:
            return
        told = f"{self.password.reveal()} and {self.part.key.reveal()}"
        logging.getLogger("signals.careless").warning("it says %s", told)
        _theirs.warning("it says %r", told)
        warnings.warn(told, stacklevel=1)
        thread = threading.Thread(target=self._crash)
        thread.start()
        thread.join()
        raise KeyError(told, {"password": told})

    def _crash(self):
        raise RuntimeError(self.password.reveal())

    def open(self):
        self._blurt("open")

    def check(self, query):
        self._blurt(self.when)

    def read(self, request):
        self._blurt("read")
        yield {"value": 1, "about": "x"}


@define
class Refusing(Sink):
    """Refuses all, in words that repeat the password."""

    password: Secret

    def write(self, batch):
        raise Rejected(f"no {self.password.reveal()!r} here")


@hookimpl
def signals_register_sources(register):
    register("careless", Careless)


@hookimpl
def signals_register_sinks(register):
    register("refusing", Refusing)
'''

SHARED = """
version: 1
plugins: [./careless.py]
sources:
  shop:
    type: postgres
    config: {uri: "postgresql://keeper:${file:quoted_shop}@127.0.0.1:${PG_PORT}/postgres"}
  wrong:
    type: postgres
    config: {uri: "postgresql://keeper:corewrongxgnorw@127.0.0.1:${PG_PORT}/postgres"}
  libpq:
    type: postgres
    config: {uri: "postgresql://127.0.0.1:${PG_PORT}/postgres?user=keeper&password=corelibpqxqpbil"}
  documents:
    type: mongodb
    config:
      uri: mongodb://keeper:coredocumentsxstnemucod@${MONGO}/?authSource=admin
      database: web
sinks:
  lake:
    type: http
    config:
      uri: ${RECEIVER}?token=coreparameterxretemarap
      token: ${token}
      headers: {X-Api-Key: coreheaderxredaeh}
  basic:
    type: http
    config: {uri: "${RECEIVER}", username: keeper, password: "${file:basic}"}
  userinfo:
    type: http
    config: {uri: "http://keeper:coreuserinfoxofniresu@127.0.0.1:9/metrics"}
  archive: {type: postgres, config: {uri: "${ARCHIVE_URI}"}}
  refusing: {type: refusing, config: {password: "${file:plugin}"}}
defaults:
  schedule: {interval: 1s}
  sinks: [lake, basic, userinfo, archive, refusing]
  owner: ${file:owner}
  description: Whose is ${file:owner}
"""

#: Collectors, by what goes wrong in them.
COLLECTORS = {
    "right": "source: {use: shop, config: {sql: SELECT 1 AS value}}",
    "in_sql": """source:
  use: shop
  config: {sql: "SELECT 1 AS value WHERE '${file:in_sql}'::int > 0"}""",
    "wrong": "source: {use: wrong, config: {sql: SELECT 1 AS value}}",
    "libpq": "source: {use: libpq, config: {sql: SELECT 1 AS value}}",
    "documents": "source: {use: documents, config: {collection: visits, agg: [{$count: value}]}}",
    "open": """source:
  type: careless
  config: {password: "${file:plugin}", part: {key: "${file:nested}"}, when: open}""",
    "read": """source:
  type: careless
  config: {password: "${file:plugin}", part: {key: "${variable}"}, when: read}""",
}
#: What cannot be read at all, or has a secret where none belongs.
MISTAKES = {
    "syntax": "source: {type: careless, config: {password: coresyntaxxxatnys, part: [}}",
    "misplaced": "source: {type: careless, config: {password: {x: coremisplacedxdecalpsim}}}",
    "listed": "source: {type: careless, config: {part: {key: [corelistedxdetsil]}, password: x}}",
    "alias": "source: {type: careless, config: {password: *corealiasxsaila, part: {}}}",
    "braces": "source: {type: careless, config: {password: {corebracesxsecarb}, part: {}}}",
    "unknown": "source: {type: careless, config: {passwort: coreunknownxnwonknu, part: {}}}",
    "limit": """max_rows: ${file:limit}
source: {use: shop, config: {sql: SELECT 1 AS value}}""",
}

COLLECTOR = "name: shop.{name}\nmetric: {{name: shop.{name}, type: GAUGE}}\n{rest}\n"


@pytest.fixture
def env(project: Path, postgres_server: PostgresServer, mongo: str, receiver: Receiver) -> Env:
    """Lay the project out, with a role, and return the variables that it needs."""
    password = secret("shop").replace("'", "''")
    archive = secret("archive")
    with suppress(psycopg.errors.DuplicateObject):
        postgres_server.execute("CREATE ROLE keeper LOGIN SUPERUSER")
    postgres_server.execute(f"ALTER ROLE keeper PASSWORD '{password}'")
    for name in FILES:
        (project / name).write_text(secret(name) + "\n")
    (project / "quoted_shop").write_text(quote(secret("shop"), safe=""))
    (project / "careless.py").write_text(PLUGIN)
    (project / "signals.yaml").write_text(SHARED)
    for name, rest in (COLLECTORS | MISTAKES).items():
        (project / f"{name}.yaml").write_text(COLLECTOR.format(name=name, rest=rest))
    receiver.answer(400, f"{secret('token')} and coreheaderxredaeh are not welcome")
    return {
        "PG_PORT": str(postgres_server.port),
        "MONGO": mongo,
        "RECEIVER": receiver.uri,
        "ARCHIVE_URI": f"postgresql://keeper:{archive}@127.0.0.1:{postgres_server.port}/postgres",
        "SIGNALS_LISTEN_TOKEN": core("listen"),
        **{name: secret(name) for name in VARIABLES},
    }


@pytest.fixture(scope="module")
def mongo() -> Iterator[str]:
    """A mongod that asks for a password."""
    with running_mongod("--auth") as port:
        yield f"127.0.0.1:{port}"


COMMANDS = """
    config validate -vv|config check -vv|config list --json|config schema
    config show shop.right|config show shop.open --json|plugins careless
    config invoke shop.* -vv|config invoke --dry-run shop.right -vv
    status -vv|status --json|history shop.* --json|outbox list|outbox list --json
"""


def test_no_secret_is_ever_written(
    signals: Signals, project: Path, env: Env, receiver: Receiver
) -> None:
    """No secret is in any output, log, traceback, page, label or byte of the state directory."""
    written: dict[str, bytes] = {}
    for log_format in ("text", "json"):
        listen = ("--listen", "127.0.0.1:0", "--log-format", log_format, "-vv")
        with Daemon(project, *listen, env=env) as daemon:
            for name in ("shop.open", "shop.read", "shop.wrong", "shop.documents", "shop.in_sql"):
                daemon.until_said(name)
            daemon.until_said("sink refusing")
            daemon.until_said("sink lake")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.until_said("reloaded")
            written |= {f"{log_format} {path}": text for path, text in pages(daemon)}
            if log_format == "text":
                written |= look_around(signals, env)
            for path in state_files(project):
                written[f"{path} {log_format}"] = path.read_bytes()
            assert daemon.stop() == 0, daemon.said
        written[f"{log_format} stdout"] = daemon.stdout.read_bytes()
        written[f"{log_format} stderr"] = daemon.stderr.read_bytes()
        assert "Traceback" in daemon.said
    written |= {f"{path} later": path.read_bytes() for path in state_files(project)}
    assert_planted(written, receiver)
    assert leaks(written) == []


def pages(daemon: Daemon) -> Iterator[tuple[str, bytes]]:
    """Yield every page that a daemon shows."""
    login = {"Authorization": f"Bearer {core('listen')}"}
    todo, seen = ["/", "/metrics", "/healthz", "/readyz", "/nothing"], set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            text = daemon.get(path, **login)[1]
            todo += [html.unescape(each) for each in re.findall(r'href="(/[^"#]*)"', text)]
            yield path, text.encode()
    assert len(seen) > 10


def look_around(signals: Signals, env: Env) -> dict[str, bytes]:
    """Return what each command writes."""
    found = {}
    for command in COMMANDS.replace("\n", "|").split("|"):
        if command.strip():
            done = signals(*command.split(), env=env)
            found[command] = (done.stdout + done.stderr).encode()
    return found


def state_files(project: Path) -> list[Path]:
    return [path for path in (project / ".signals").rglob("*") if path.is_file()]


def leaks(written: Mapping[str, bytes]) -> list[str]:
    """Say which secret is found where, in clear or as basic credentials."""
    wanted = {name: [core(name).encode()] for name in (*FILES, *VARIABLES, *WRITTEN)}
    wanted["basic"].append(base64.b64encode(f"keeper:{secret('basic')}".encode()))
    wanted["userinfo"].append(base64.b64encode(f"keeper:{secret('userinfo')}".encode()))
    return sorted(
        f"{name} in {where}: {text[max(0, text.find(each) - 80) :][:200]!r}"
        for where, text in written.items()
        for name, spellings in wanted.items()
        for each in spellings
        if each in text
    )


def assert_planted(written: Mapping[str, bytes], receiver: Receiver) -> None:
    """The secrets were used, and what repeats them was written, with stars in their place."""
    sent = [each for each in receiver.requests() if "token=" in each.path]
    assert sent[0].header("Authorization") == f"Bearer {secret('token')}"
    assert sent[0].header("X-Api-Key") == secret("header")
    text = b"\n".join(written.values()).decode(errors="replace")
    for told in (
        "*** and *** are not welcome",
        "it says *** and ***",
        "no '***' here",
        'invalid input syntax for type integer: "***"',
        'password authentication failed for user "keeper"',
        "Authentication failed",
    ):
        assert told in text, told
