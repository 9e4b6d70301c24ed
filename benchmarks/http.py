"""HTTP, to a receiver in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from attrs import define

from benchmarks.measure import Figure, Goal, in_turn
from signals_core import Collector, MetricDefinition, Request, Row, Runner, Source
from signals_vector.sink import Http

METRICS = 10_000

_RECEIVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@define
class Many(Source):
    """As many rows as asked for."""

    def read(self, request: Request) -> Iterator[Row]:
        """Yield rows with a tag of their own."""
        for number in range(METRICS):
            yield {"customer": f"customer-{number}", "value": number}


@contextmanager
def receiver() -> Iterator[str]:
    """Run a receiver that takes everything; its URI."""
    with subprocess.Popen(
        [sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/metrics"
        finally:
            process.terminate()


def reading_of(sink: Http) -> Runner:
    """Return a runner whose one collector delivers to `sink`."""
    definition = MetricDefinition("bench.http", "COUNT")
    return Runner(
        [Collector(name="bench.http", metric=definition, source=Many(), sinks={"http": sink})]
    )


def batches() -> Figure:
    """10 000 metrics in batches, against one request a metric."""
    with (
        receiver() as uri,
        reading_of(Http(uri)) as ours,
        reading_of(Http(uri, batch_metrics=1)) as single,
    ):
        pairs = in_turn(lambda: ours.invoke("bench.http"), lambda: single.invoke("bench.http"), 3)
    return Figure(
        "10 000 metrics over HTTP",
        "one request a metric",
        Goal(0.02),
        "s",
        pairs,
        "What batches save on the way to a receiver.",
    )


def client() -> Figure:
    """Delivery alone of 10 000 metrics, against urllib3 with the same bytes."""
    with receiver() as uri, reading_of(Http(uri)) as runner:
        batches = runner.read("bench.http").metrics.batches
        bodies = [batch.json_array() for batch in batches]
        sink = Http(uri)
        sink.open()
        pool = urllib3.PoolManager(maxsize=1)
        pairs = in_turn(
            lambda: [sink.write(batch) for batch in batches],
            lambda: [pool.request("POST", uri, body=body).data for body in bodies],
            runs=15,
        )
        sink.close()
    return Figure(
        "HTTP sink, 10 000 metrics",
        "urllib3, same bytes",
        "none: part of the outbox",
        "s",
        pairs,
        "What the sink adds to its HTTP client.",
    )
