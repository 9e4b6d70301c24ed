"""examples/monitoring: with Prometheus' own tool, and a real one that scrapes a real daemon."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from parts.daemon import Daemon, until
from parts.mongo import free_port
from parts.postgres import lacking
from signals_core.cli.main import signals as command_line

ROOT = Path(__file__).parents[1]
MONITORING = ROOT / "examples" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
DOCUMENTED = set(
    re.findall(
        r"^\| `(signals_\w+)`", (ROOT / "docs/reference/telemetry.md").read_text(), re.MULTILINE
    )
)
TOKEN = "a-token-for-those-who-look"


def tool(name: str) -> str:
    """Return the path of one of Prometheus' programs."""
    return shutil.which(name) or lacking(f"{name} (Debian's package prometheus)")


def promtool(*arguments: object, cwd: Path = MONITORING) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Yield each panel's title and queries, as Grafana fills them in."""
    filled = {"$__rate_interval": "1m", "$collector": ".*", "$sink": ".*"}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for variable, value in filled.items():
                query = query.replace(variable, value)
            yield panel["title"], query


def test_promtool_accepts_them(tmp_path: Path) -> None:
    """The configuration and the rules are right in the eyes of Prometheus' own tool."""
    for name in ("prometheus.yml", "alerts.yaml"):
        shutil.copy(MONITORING / name, tmp_path)
    (tmp_path / "listen.token").write_text(TOKEN)
    for arguments in (("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yaml")):
        done = promtool(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_as_they_should() -> None:
    """On recorded series each alert fires as it should, and is silent when all is well."""
    done = promtool("test", "rules", "alerts_test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("vector(1) > 1", r'alertname="(\w+)"'),
        ("vector(1)", r"alertname: (\w+), time: [^,]+,\s+exp:\[\]"),
    ],
    ids=["never", "always"],
)
def test_the_series_tell(expression: str, failure: str, tmp_path: Path) -> None:
    """The recorded series find each alert that never fires, and each that always does."""
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = expression
            rule.pop("for", None)
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(MONITORING / "alerts_test.yaml", tmp_path)
    done = promtool("test", "rules", "alerts_test.yaml", cwd=tmp_path)
    assert done.returncode == 1
    told = done.stdout + done.stderr
    missed = {rule["alert"] for rule in RULES} - set(re.findall(failure, told))
    assert not missed


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """An alert has a severity, a summary and a runbook, and names only commands that exist."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    runbook = rule["annotations"]["runbook"]
    assert len(runbook) > 80
    for command in re.findall(r"`signals ([^`]+)`", runbook):
        group, *rest = command.split()
        found: Any = command_line.get_command(None, group)
        if hasattr(found, "get_command"):
            found = found.get_command(None, rest[0])
        known = {name for parameter in found.params for name in parameter.opts}
        assert set(re.findall(r"--[\w-]+", command)) <= known, command


def test_names_are_documented() -> None:
    """Rules and dashboard use no series of ours that the reference does not have."""
    text = "\n".join([*(rule["expr"] for rule in RULES), *dict(dashboard_queries()).values()])
    used = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bsignals_\w+", text)}
    assert used <= DOCUMENTED
    assert len(used) > 20


def test_dashboard() -> None:
    """The dashboard's panels have ids of their own, do not overlap, and follow its variables."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        cells |= taken
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels)))
    assert variables | {"__rate_interval"} == used
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert [each["refId"] for each in panel["targets"]] == list("ABCDEF")[
                : len(panel["targets"])
            ]


PROJECT = """
version: 1
sources: {shop: {type: sqlite, config: {path: shop.db}}}
sinks:
  lake: {type: file, config: {path: lake.jsonl}}
  down: {type: http, config: {uri: "http://127.0.0.1:9/metrics"}}
defaults: {owner: data-team}
---
name: shop.stock
description: What there is, in pieces.
metric: {name: shop.stock, type: GAUGE}
schedule: {interval: 1s}
sinks: [lake, down]
source: {use: shop, config: {sql: SELECT 5 AS value}}
---
name: shop.orders.1d
metric: {name: shop.orders, type: COUNT}
grain: 1d
window: {}
schedule: {interval: 1s}
sinks: [lake]
source: # one that has a watermark
  type: postgres
  config: {uri: "${SHOP_URI}", sql: "SELECT 1 AS value WHERE :window_start < :window_end"}
---
name: shop.typo
metric: {name: shop.typo, type: GUAGE}
schedule: {interval: 1s}
sinks: [lake]
source: {use: shop, config: {sql: SELECT 5 AS value}}
"""


class Prometheus:
    """A running Prometheus, and its HTTP API."""

    def __init__(self, port: int) -> None:
        self._api = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._api}/-/ready") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def query(self, query: str) -> list[dict[str, Any]]:
        address = f"{self._api}/api/v1/query?{urlencode({'query': query})}"
        with urllib.request.urlopen(address) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result


@contextmanager
def prometheus(folder: Path, scraped: int) -> Iterator[Prometheus]:
    """Run Prometheus with the rules and the configuration of the examples, each second."""
    folder.mkdir()
    port = free_port()
    given = (MONITORING / "prometheus.yml").read_text()
    given = given.replace("127.0.0.1:9464", f"127.0.0.1:{scraped}").replace("30s", "1s")
    (folder / "prometheus.yml").write_text(given)
    (folder / "listen.token").write_text(TOKEN)
    shutil.copy(MONITORING / "alerts.yaml", folder)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
        )
    try:
        server = Prometheus(port)
        until(server.is_ready)
        yield server
    finally:
        process.terminate()
        process.wait()


def test_a_real_prometheus(project: Path, database: str) -> None:
    """A real Prometheus scrapes a daemon, one of whose sinks is down, and answers every query.

    Each panel of the dashboard shows something, and the alerts on what is wrong begin to burn.
    """
    sqlite3.connect(project / "shop.db").close()
    (project / "signals.yaml").write_text(PROJECT.partition("---")[0])
    (project / "shop.yaml").write_text(PROJECT.partition("---")[2])
    env = {"SIGNALS_LISTEN_TOKEN": TOKEN, "SHOP_URI": database}
    with Daemon(project, "--listen", "127.0.0.1:0", env=env) as daemon:
        with prometheus(project.with_name("prometheus"), daemon.port) as server:
            until(lambda: server.query('up{job="signals"} == 1'))
            until(lambda: server.query('rate(signals_sink_writes_total{outcome="failed"}[1m]) > 0'))
            until(lambda: server.query("rate(signals_collector_runs_total[1m]) > 0"))
            for title, query in dashboard_queries():
                assert server.query(query), (title, query)
            for rule in RULES:
                server.query(rule["expr"])
            until(lambda: "SignalsSinkFailing" in alerts(server))
            assert {"SignalsSinkFailing", "SignalsCollectorLeftOut"} <= alerts(server)
            assert not alerts(server) & {"SignalsDown", "SignalsTimerStuck", "SignalsDeadLetters"}
        metrics = daemon.get("/metrics", Authorization=f"Bearer {TOKEN}")[1]
        assert daemon.get("/metrics")[0] == 401
        assert daemon.stop() == 0
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=metrics,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def alerts(server: Prometheus) -> set[str]:
    """Return the alerts that burn, or are about to."""
    return {each["metric"]["alertname"] for each in server.query("ALERTS")}
