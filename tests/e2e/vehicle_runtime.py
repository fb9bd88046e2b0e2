"""What the runtimes of all vehicles export: the metrics of docs/rollout.md, of whatever `current` points to there."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.5)
"""Upper bounds in seconds."""
PER_SCRAPE = 100
"""Inferences of each vehicle between two scrapes."""


class Runtimes:
    """Vehicles that infer all the time; `latency` gives the seconds of an inference by revision."""

    def __init__(self, fleet: Path) -> None:
        self.latency: defaultdict[str, float] = defaultdict(lambda: 0.015)
        self.silent = False
        self._fleet = fleet
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(BUCKETS))
        self._total: defaultdict[str, int] = defaultdict(int)

    def scrape(self) -> str:
        """One more round of inferences, in Prometheus' text format."""
        links = [] if self.silent else sorted(self._fleet.glob("*/*/*/current"))
        return "".join(line + "\n" for link in links for line in self._lines(link))

    def _lines(self, link: Path) -> Iterator[str]:
        node, namespace, deployment = link.parts[-4:-1]
        revision = link.readlink().name
        marks = f'namespace="{namespace}",deployment="{deployment}",revision="{revision}",node="{node}"'
        self._total[marks] += PER_SCRAPE
        for place, bound in enumerate(BUCKETS):
            self._buckets[marks][place] += PER_SCRAPE * (self.latency[revision] <= bound)
            yield f'dms_vehicle_inference_seconds_bucket{{{marks},le="{bound}"}} {self._buckets[marks][place]}'
        yield f'dms_vehicle_inference_seconds_bucket{{{marks},le="+Inf"}} {self._total[marks]}'
        yield f"dms_vehicle_inferences_total{{{marks}}} {self._total[marks]}"
        yield f"dms_vehicle_inference_errors_total{{{marks}}} 0"
        yield f"dms_vehicle_temperature_celsius{{{marks}}} 61.5"


@contextmanager
def serving(runtimes: Runtimes) -> Iterator[str]:
    """Serve them on one address, as a gateway of a fleet would; gives host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = runtimes.scrape().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
