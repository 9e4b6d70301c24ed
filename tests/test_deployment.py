"""The Dockerfile and examples/deployment.

There is no Docker engine, no Kubernetes and no systemd where tests run. So their files are checked
with the tools that read them, what they call is held against the command line, and the steps of
the Dockerfile are taken in an empty folder: what they install runs as another user, who can write
to the state directory alone.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.utils.build import exclude_paths
from pymongo import MongoClient

from parts.command import Signals, environment
from parts.daemon import Daemon
from parts.mongo import free_port
from parts.postgres import PostgresServer, lacking
from parts.receiver import Receiver
from signals_core.cli.output import Output
from signals_core.cli.run import run as run_command

ROOT = Path(__file__).parents[1]
DEPLOYMENT = ROOT / "examples" / "deployment"
COMPOSE = yaml.safe_load((DEPLOYMENT / "compose.yaml").read_text())
SERVICE = (DEPLOYMENT / "signals.service").read_text()
KUBERNETES = {
    each["kind"]: each for each in yaml.safe_load_all((DEPLOYMENT / "kubernetes.yaml").read_text())
}
POD = KUBERNETES["StatefulSet"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
SIGNALS_UID = 10001


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each in one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = filter(None, map(str.strip, text.replace("\\\n", " ").splitlines()))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def of_image(word: str) -> str:
    """Return what the last stage says once."""
    (rest,) = (rest for each, rest in stages()[-1] if each == word)
    return rest


def health_check() -> list[str]:
    """Return the command of the image's health check."""
    command: list[str] = json.loads(of_image("HEALTHCHECK").partition("CMD ")[2])
    return command


#: How each of them starts the daemon, without the program.
CALLS = {
    "Dockerfile": json.loads(of_image("CMD")),
    "compose": COMPOSE["services"]["signals"]["command"],
    "Kubernetes": CONTAINER["args"],
    "systemd": shlex.split(re.search(r"^ExecStart=\S+ (.*)", SERVICE, re.MULTILINE)[1]),
}


# Linted


def tool(name: str) -> str:
    """Return the path of a program beside Python, or anywhere."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or lacking(name)


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "--no-color", ROOT / "Dockerfile"],
        [
            "check-jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            DEPLOYMENT / "compose.yaml",
        ],
        ["kubernetes-validate", "--strict", "-k", "1.31", DEPLOYMENT / "kubernetes.yaml"],
    ],
    ids=lambda command: command[0],
)
def test_linted(command: list[str]) -> None:
    """The Dockerfile is clean for hadolint; the rest is what the schemas of its readers ask for."""
    done = subprocess.run(
        [tool(command[0]), *map(str, command[1:])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit(tmp_path: Path) -> None:
    """Systemd accepts the unit, and finds it little exposed."""
    unit = tmp_path / "signals.service"
    unit.write_text(SERVICE.replace("/opt/signals/bin/signals", sys.executable))
    analyze = tool("systemd-analyze")
    for arguments in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(
            [analyze, *arguments, str(unit)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


# What they say to each other, and to signals


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_how_the_daemon_is_called(call: list[str]) -> None:
    """Each calls `signals run` as the command line has it, on one port, and waits for the lock."""
    command, *arguments = call
    assert command == "run"
    parsed = run_command.make_context("run", arguments, obj=Output(), resilient_parsing=False)
    assert parsed.params["listen"].port == 9464
    assert parsed.params["wait_lock"].total_seconds() == 60
    assert parsed.params["deadline"].total_seconds() == 30


def test_time_to_stop() -> None:
    """Who stops the daemon gives it longer than its reads, and then a batch, may take."""
    from signals_vector.sink import Http

    sink = Http(uri="http://127.0.0.1/")
    least = 30 + (sink.connect_timeout + sink.timeout).total_seconds()
    given = {
        "compose": COMPOSE["services"]["signals"]["stop_grace_period"].rstrip("s"),
        "Kubernetes": POD["terminationGracePeriodSeconds"],
        "systemd": re.search(r"^TimeoutStopSec=(\d+)$", SERVICE, re.MULTILINE)[1],
    }
    assert {name: int(seconds) > least for name, seconds in given.items()} == dict.fromkeys(
        given, True
    )


def test_only_behind_a_token() -> None:
    """What listens on more than loopback has a token."""
    exposed = {name for name, call in CALLS.items() if "0.0.0.0" in " ".join(call)}
    assert exposed == {"compose", "Kubernetes"}
    assert "SIGNALS_LISTEN_TOKEN" in COMPOSE["services"]["signals"]["environment"]
    assert "SIGNALS_LISTEN_TOKEN" in {each["name"] for each in CONTAINER["env"]}
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["signals"]["ports"])


def test_state_outlives_the_container() -> None:
    """The state directory is on a volume, in each of them, of the image's own user."""
    state = of_image("VOLUME")
    assert f"SIGNALS_STATE_DIR={state}" in of_image("ENV")
    assert of_image("USER") == f"{SIGNALS_UID}:{SIGNALS_UID}"
    assert f"state:{state}" in COMPOSE["services"]["signals"]["volumes"]
    claim = KUBERNETES["StatefulSet"]["spec"]["volumeClaimTemplates"][0]
    mounts = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == state
    kept = {each["name"]: each.get("value") for each in CONTAINER["env"]}["SIGNALS_STATE_DIR"]
    assert Path(kept).is_relative_to(state)
    assert POD["securityContext"]["runAsUser"] == SIGNALS_UID
    assert KUBERNETES["StatefulSet"]["spec"]["replicas"] == 1


def test_compose_is_whole() -> None:
    """Every file, volume and secret that the compose file names is there."""
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            is_file = source.startswith(".")
            assert (DEPLOYMENT / source).exists() if is_file else source in COMPOSE["volumes"]
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])
    named = {secret["environment"] for secret in COMPOSE["secrets"].values()}
    told = (DEPLOYMENT / "compose.yaml").read_text().partition("\nname:")[0]
    assert named < set(re.findall(r"[A-Z]+_[A-Z_]+", told))
    vector = yaml.safe_load((DEPLOYMENT / "vector.yaml").read_text())
    assert all(sink["acknowledgements"]["enabled"] for sink in vector["sinks"].values())
    source = vector["sources"]["signals"]
    uri = re.search(r"VECTOR_URI:-([^}]+)}", (DEPLOYMENT / "project/signals.yaml").read_text())[1]
    assert uri == f"http://vector:{source['address'].rpartition(':')[2]}{source['path']}"


def test_secrets_are_mounted_where_they_are_read() -> None:
    """The secrets that the projects refer to are those that compose and Kubernetes mount."""
    shared = (DEPLOYMENT / "project/signals.yaml").read_text()
    named = set(re.findall(r"\$\{file:(/run/secrets/[^}]+)}", shared))
    mounted = {f"/run/secrets/{name}" for name in COMPOSE["services"]["signals"]["secrets"]}
    assert named == mounted
    mounts = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    items = next(each for each in POD["volumes"] if each["name"] == "secrets")["secret"]["items"]
    project = KUBERNETES["ConfigMap"]["data"]["signals.yaml"]
    for item in items:
        assert item["key"] in KUBERNETES["Secret"]["stringData"]
        assert f"${{file:{mounts['secrets']}/{item['path']}}}" in project


# The projects


def as_config_map(folder: Path, files: dict[str, str]) -> None:
    """Lay files out as the kubelet mounts a ConfigMap."""
    data = folder / "..2026_11_25"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, text in files.items():
        (data / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


def test_compose_can_put_its_secrets_there() -> None:
    """No service is read-only that has secrets from variables: they are copied into it."""
    for service in COMPOSE["services"].values():
        sources = [COMPOSE["secrets"][name] for name in service.get("secrets", ())]
        assert not service.get("read_only") or all("file" in each for each in sources)


def test_the_project_holds_no_secret_of_the_unit() -> None:
    """What the unit loads lies outside the project: its user could not read that folder."""
    found = re.findall(r"^LoadCredential=\w+:(.+)$", SERVICE, re.MULTILINE)
    assert found
    assert not [path for path in found if path.startswith("/etc/signals/")]


def test_the_project_of_kubernetes(signals: Signals, tmp_path: Path) -> None:
    """A project that the kubelet mounted, behind its links, is read; each collector once."""
    as_config_map(tmp_path / "etc", KUBERNETES["ConfigMap"]["data"])
    done = signals("config", "validate", tmp_path / "etc")
    assert done.returncode == 0
    assert done.stderr.endswith("\n1 collector, no mistakes\n"), done.stderr


@pytest.fixture
def shop(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Fill a database as the container does, and return the variables of the project."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("shop_password", "web_password"):
        (secrets / name).write_text(f"the-{name}\n")
    postgres_server.execute("CREATE DATABASE shop")
    script = (DEPLOYMENT / "postgres.sql").read_text().replace("/run/secrets", str(secrets))
    psql = postgres_server._bin / "psql"
    subprocess.run(
        [psql, "-q", "-v", "ON_ERROR_STOP=1", postgres_server.uri_of("shop")],
        input=script,
        text=True,
        check=True,
    )
    yield {"SHOP_HOST": f"127.0.0.1:{postgres_server.port}"}
    postgres_server.execute("DROP DATABASE shop WITH (FORCE)")
    postgres_server.execute("DROP ROLE signals")


def test_the_project_of_compose(
    signals: Signals,
    project: Path,
    shop: dict[str, str],
    mongo_server: str,
    mongo_client: MongoClient[Any],
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    """What the containers find reads real databases: as the read-only role, and what is in them.

    The mongod here asks nobody for a password, so the user that mongodb.js makes is left out.
    """
    for file in (DEPLOYMENT / "project").iterdir():
        text = file.read_text().replace("/run/secrets", str(tmp_path / "secrets"))
        text = re.sub(r"mongodb://signals:\$\{file:[^}]*}@", "mongodb://", text)
        (project / file.name).write_text(text.replace("?authSource=web", ""))
    mongo_client.web.visits.insert_one({"at": datetime.now(UTC), "page": "/"})
    web = mongo_server.removeprefix("mongodb://").partition("/")[0]
    env = {**shop, "WEB_HOST": web, "VECTOR_URI": receiver.uri}
    checked = signals("config", "check", env=env)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "warning" not in checked.stderr
    invoked = signals("config", "invoke", "shop.orders.1d", env=env)
    assert invoked.returncode == 0, invoked.stderr
    names = {each["name"] for each in receiver.metrics()}
    assert names == {"shop.orders.count", "shop.orders.revenue"}


# The image


@pytest.fixture(scope="module")
def python() -> str:
    """Return a Python that other users can run too."""
    candidates = [os.path.realpath(sys.executable), "/usr/bin/python3"]
    for each in candidates:
        path = Path(each)
        if path.exists() and all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents)):
            return each
    return candidates[0]


@pytest.fixture(scope="module")
def image(python: str) -> Iterator[Path]:
    """Take the steps of the Dockerfile in an empty folder; return it."""
    folder = Path(tempfile.mkdtemp(prefix="signals-image-"))
    folder.chmod(0o755)
    programs = folder / "programs"  # of the image that ours begins with
    programs.mkdir()
    (programs / "python").symlink_to(python)
    pip = f"{sys.executable} -m pip --disable-pip-version-check --python {python}"
    (programs / "pip").write_text(f'#!/bin/sh\nexec {pip} "$@"\n')
    (programs / "pip").chmod(0o755)
    build, final = stages()
    work = folder
    context = exclude_paths(str(ROOT), (ROOT / ".dockerignore").read_text().splitlines())
    for word, rest in build[1:]:
        if word == "WORKDIR":
            work = folder / rest.lstrip("/")
            work.mkdir(parents=True)
        elif word == "COPY":
            copy(context, rest, work)
        else:
            assert word == "RUN"
            take(rest, folder, work)
    for word, rest in final:
        if word == "COPY":
            assert rest == "--from=build /opt/signals /opt/signals"
    (folder / "etc/signals").mkdir(parents=True)
    (folder / "var/lib/signals").mkdir(parents=True, mode=0o700)
    yield folder
    shutil.rmtree(folder)


def copy(context: set[str], rest: str, work: Path) -> None:
    """Copy from the context, as COPY does: what a folder holds, or files into a folder."""
    *sources, target = rest.split()
    for source in sources:
        for path in sorted(context):
            if path == source or path.startswith(f"{source}/"):
                inside = path.removeprefix(source).lstrip("/") if target != "./" else path
                to = work / target / inside
                if (ROOT / path).is_dir():
                    to.mkdir(parents=True, exist_ok=True)
                else:
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / path, to)


def take(command: str, folder: Path, work: Path) -> None:
    """Run a step, with its absolute paths below `folder`."""
    moved = re.sub(r"(?<=\s)/(?=opt/|wheels)", f"{folder}/", command)
    path = f"{folder / 'programs'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-ec", moved],
        cwd=work,
        env={**environment(), "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def somebody() -> dict[str, Any]:
    """Return how to run a process as the image's user, where we may."""
    if os.geteuid():
        return {}
    return {"user": SIGNALS_UID, "group": SIGNALS_UID, "extra_groups": []}


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what is in a folder, and when it was changed."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")
    }


def test_the_context(tmp_path: Path) -> None:
    """Of what lies about in a clone, only what is installed gets into the image."""
    folder = tmp_path / "clone"
    wanted = {"pyproject.toml", "signals_core/x.py", "plugins/signals_x/pyproject.toml"}
    others = """
        .env .git/config .venv/x.py secrets/shop examples/project/token tests/x.py
        signals_core/__pycache__/x.pyc plugins/signals_x/tests/test_x.py
    """
    for name in (*wanted, *others.split()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    kept = exclude_paths(str(folder), (ROOT / ".dockerignore").read_text().splitlines())
    assert {each for each in kept if (folder / each).is_file()} == wanted


def test_what_the_last_stage_does() -> None:
    """The last stage installs nothing: it makes the user, and takes over what was built."""
    runs = [rest for word, rest in stages()[-1] if word == "RUN"]
    programs = {line.split()[0] for run in runs for line in run.split("&&")}
    assert programs == {"groupadd", "useradd", "install"}
    for word in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(of_image(word)), list)
    assert of_image("STOPSIGNAL") == "SIGTERM"


def test_what_is_in_the_image(image: Path) -> None:
    """The image has the core and the plugins, at the versions of the tree, and no pip."""
    environment_of = image / "opt/signals"
    assert not list(environment_of.rglob("pip"))
    assert not (environment_of / "bin/pip").exists()
    done = subprocess.run(
        [environment_of / "bin/signals", "plugins"],
        cwd=image / "etc",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        **somebody(),
    )
    for name in ("postgres", "mongodb", "http", "sqlite", "console"):
        assert re.search(rf"\b{name}\b", done.stdout), done.stdout
    assert "broken" not in done.stdout


PROJECT = {
    "signals.yaml": """
version: 1
sources: {shop: {type: sqlite, config: {path: SHOP}}}
sinks: {console: {type: console}}
defaults: {sinks: [console]}
""",
    "stock.yaml": """
name: shop.stock
metric: {name: shop.stock, type: GAUGE}
schedule: {interval: 1s}
source: {use: shop, config: {sql: SELECT 5 AS value}}
""",
}


def test_the_image_runs(image: Path) -> None:
    """As another user, who can write to the state alone, it delivers, and ends well on SIGTERM.

    The health check fails before, passes meanwhile, and fails after.
    """
    shop, state, port = image / "shop.db", image / "var/lib/signals", str(free_port())
    sqlite3.connect(shop).close()
    shop.chmod(0o644)
    as_config_map(
        image / "etc/signals",
        {name: text.replace("SHOP", str(shop)) for name, text in PROJECT.items()},
    )
    if not os.geteuid():
        os.chown(state, SIGNALS_UID, SIGNALS_UID)
    before = tree(image / "opt") | tree(image / "etc")
    env = {"PATH": f"{image / 'opt/signals/bin'}:/usr/bin:/bin", "SIGNALS_STATE_DIR": str(state)}
    options: dict[str, Any] = {"env": env, "cwd": image / "etc/signals", **somebody()}

    def is_healthy() -> bool:
        command = [word.replace("9464", port) for word in health_check()]
        assert command[0] == "python"
        command[0] = str(image / "opt/signals/bin/python")
        done = subprocess.run(command, stderr=subprocess.DEVNULL, check=False, **options)
        assert done.returncode in (0, 1)
        return done.returncode == 0

    assert not is_healthy()
    call = [word.replace("9464", port) for word in CALLS["Dockerfile"]]
    call = [word.replace("/etc/", f"{image}/etc/") for word in call]
    program = [str(image / "opt/signals/bin" / json.loads(of_image("ENTRYPOINT"))[0])]
    with Daemon(image / "log", *call[1:], command=program, **options) as daemon:
        daemon.until(lambda: '"name":"shop.stock"' in daemon.stdout.read_text())
        assert is_healthy()
        assert {daemon.get(path)[0] for path in ("/", "/metrics", "/readyz")} == {200}
        assert daemon.stop() == 0, daemon.said
        assert all(json.loads(line)["message"] for line in daemon.said.splitlines())
    assert not is_healthy()
    assert tree(image / "opt") | tree(image / "etc") == before
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}
