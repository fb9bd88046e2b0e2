"""What the dev cluster can carry, as ratios to a bare aiohttp server measured side by side in the same run.

Rounds alternate between the two servers, each in a process of its own; a ratio is the median over rounds, so that
what else the machine does hits both. CPU per request is the server's own: the client is not in it. The table goes
to docs/performance.md, section "Dev cluster".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from report import write_section

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
SERVERS = Path(__file__).with_name("devcluster_servers.py")
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/bench.example/v1/namespaces/default/widgets"
MERGE = {"Content-Type": "application/merge-patch+json"}
OBJECTS, NODES, WATCHERS = 10_000, 1_000, 50  # what issue 3 asks for
CHECKPOINTS = (2_000, 5_000, 10_000)
ROUNDS, WRITES, CLIENTS = 5, 400, 16
LOG_SIZE = 10_000  # devcluster/storage.py
Call = Callable[[int], Coroutine[Any, Any, Any]]


class Server:
    """A server in another process, and a client of it."""

    def __init__(self, way: dict[str, str], process: psutil.Process, session: aiohttp.ClientSession) -> None:
        self.way, self.process, self.session = way, process, session

    async def send(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> None:
        async with self.session.request(method, path, data=json.dumps(body), headers=headers) as response:
            text = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {text.decode()}")

    def cpu(self) -> float:
        """Seconds that its process has worked."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def serving(kind: str, nodes: int = 0) -> AsyncIterator[Server]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SERVERS), kind, str(nodes)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None and child.stdout is not None
    way = json.loads(await child.stdout.readline())
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cadata=way["authority"]))
    headers = {"Authorization": f"Bearer {way['token']}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(way["url"], headers=headers, connector=connector) as session:
        yield Server(way, psutil.Process(child.pid), session)
    child.stdin.close()
    await child.wait()


def configmap(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "v" * 200}}


def widget(name: str) -> dict[str, Any]:
    spec = {"model": "s3://models/dms.onnx", "targets": [{"name": f"t{one}", "precision": "int8"} for one in range(4)]}
    return {"apiVersion": "bench.example/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def definition() -> dict[str, Any]:
    target = {"type": "object", "properties": {"name": {"type": "string"}, "precision": {"type": "string"}}}
    spec = {"model": {"type": "string"}, "targets": {"type": "array", "items": target}}
    status = {"phase": {"type": "string"}, "count": {"type": "integer"}}
    properties = {"spec": {"type": "object", "properties": spec}, "status": {"type": "object", "properties": status}}
    version = {
        **{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.bench.example"},
        "spec": {"group": "bench.example", "scope": "Namespaced", "names": names, "versions": [version]},
    }


async def many(call: Call, start: int, count: int) -> None:
    """`count` calls, CLIENTS at a time."""
    numbers = iter(range(start, start + count))

    async def work() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(work() for _ in range(CLIENTS)))


async def rates(servers: list[Server], calls: Callable[[Server], Call], start: int) -> list[tuple[float, float]]:
    """Per server: calls a second and its CPU milliseconds a call, medians over alternating rounds."""
    seen: list[list[tuple[float, float]]] = [[] for _ in servers]
    for turn in range(ROUNDS):
        for server, results in zip(servers, seen, strict=True):
            cpu, began = server.cpu(), time.perf_counter()
            await many(calls(server), start + turn * WRITES, WRITES)
            elapsed = time.perf_counter() - began
            results.append((WRITES / elapsed, (server.cpu() - cpu) / WRITES * 1000))
    return [
        (statistics.median(one for one, _ in results), statistics.median(one for _, one in results)) for results in seen
    ]


async def watch_lag(server: Server, writes: int = 100) -> tuple[float, float]:
    """Milliseconds from sending a write to its arrival at a watcher: median and 99th percentile over WATCHERS."""
    sent: dict[str, float] = {}
    lags: list[float] = []
    opened = asyncio.Semaphore(0)

    async def listen() -> None:
        seen = 0
        async with server.session.get(f"{CONFIGMAPS}?watch=1&resourceVersion={await _version(server)}") as stream:
            opened.release()
            async for line in stream.content:
                arrived = time.perf_counter()
                name = json.loads(line)["object"]["metadata"]["name"]
                if name in sent:
                    lags.append(1000 * (arrived - sent[name]))
                    seen += 1
                if seen == writes:
                    return

    tasks = [asyncio.create_task(listen()) for _ in range(WATCHERS)]
    for _ in tasks:
        await opened.acquire()
    for number in range(writes):
        name = f"lag-{time.monotonic_ns()}-{number}"
        sent[name] = time.perf_counter()
        await server.send("POST", CONFIGMAPS, configmap(name))
    await asyncio.gather(*tasks)
    ordered = sorted(lags)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


async def watch_lags(servers: list[Server]) -> list[tuple[float, float]]:
    """Per server: medians of its lags over alternating rounds."""
    seen = [[await watch_lag(server) for server in servers] for _ in range(ROUNDS)]
    return [
        (statistics.median(one for one, _ in lags), statistics.median(one for _, one in lags))
        for lags in zip(*seen, strict=True)
    ]


async def _version(server: Server) -> str:
    async with server.session.get(CONFIGMAPS, params={"limit": "1"}) as response:
        return str((await response.json()).get("metadata", {}).get("resourceVersion", ""))


async def list_time(server: Server) -> float:
    """Milliseconds to list everything."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        async with server.session.get(CONFIGMAPS) as response:
            await response.read()
        took.append(1000 * (time.perf_counter() - began))
    return min(took)


async def growth(server: Server) -> list[tuple[int, float]]:
    """(objects, bytes of resident memory an object since the checkpoint before)."""
    found, before, present = [], server.process.memory_info().rss, 0
    for count in CHECKPOINTS:
        await many(lambda n: server.send("POST", CONFIGMAPS, configmap(f"grow-{n}")), present, count - present)
        now = server.process.memory_info().rss
        found.append((count, (now - before) / (count - present)))
        before, present = now, count
    return found


async def bounded(server: Server) -> tuple[int, int, float]:
    """After more writes than the log holds: (code for a watch from before them, code for a new one, MB grown)."""
    version = await _version(server)
    await many(_patch_data(server), 0, LOG_SIZE + 500)
    full = server.process.memory_info().rss
    await many(_patch_data(server), LOG_SIZE, 2_000)
    grown = (server.process.memory_info().rss - full) / 1e6
    return await _watch_code(server, version), await _watch_code(server, await _version(server)), grown


def _patch_data(server: Server) -> Call:
    def patch(number: int) -> Coroutine[Any, Any, None]:
        return server.send("PATCH", f"{CONFIGMAPS}/grow-{number % 100}", {"data": {"n": str(number)}}, MERGE)

    return patch


async def _watch_code(server: Server, version: str) -> int:
    query = f"watch=1&timeoutSeconds=1&resourceVersion={version}"
    async with server.session.get(f"{CONFIGMAPS}?{query}") as response:
        lines = (await response.text()).splitlines()
    return int(json.loads(lines[0])["object"].get("code", 200)) if lines else response.status


def _creates(prefix: str) -> Callable[[Server], Call]:
    return lambda server: lambda number: server.send("POST", CONFIGMAPS, configmap(f"{prefix}-{number}"))


def _widgets(server: Server) -> Call:
    return lambda number: server.send("POST", WIDGETS, widget(f"w{number}"))


def _statuses(server: Server) -> Call:
    def patch(number: int) -> Coroutine[Any, Any, None]:
        body = {"status": {"phase": "Running", "count": number}}
        return server.send("PATCH", f"{WIDGETS}/w{number % 50}/status", body, MERGE)

    return patch


async def measure() -> list[list[str]]:
    """The rows of the table."""
    rows: list[list[str]] = []

    def add(what: str, cluster: float, bare: float, unit: str) -> None:
        rows.append([what, f"{cluster:.3g} {unit}", f"{bare:.3g} {unit}", f"{cluster / bare:.2f}"])
        print("  ".join(rows[-1]), flush=True)

    async with serving("cluster", NODES) as cluster, serving("bare") as bare:
        both = [cluster, bare]
        await cluster.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition())
        for server in both:
            await many(_widgets(server), 0, 50)
        for what, calls in (("create a ConfigMap", _creates("few")), ("patch a custom object's status", _statuses)):
            (fast, busy), (bare_fast, bare_busy) = await rates(both, calls, 0)
            add(f"{what}, {CLIENTS} clients", fast, bare_fast, "/s")
            add(f"{what}, server CPU", busy, bare_busy, "ms")
        lags = await watch_lags(both)
        add(f"watch lag, {WATCHERS} watchers, median", lags[0][0], lags[1][0], "ms")
        add(f"watch lag, {WATCHERS} watchers, 99 %", lags[0][1], lags[1][1], "ms")
        steps = await growth(cluster)
        await growth(bare)
        (fast, busy), (bare_fast, bare_busy) = await rates(both, _creates("more"), 0)
        add(f"create with {OBJECTS} objects there", fast, bare_fast, "/s")
        add(f"create with {OBJECTS} objects there, server CPU", busy, bare_busy, "ms")
        add(f"list of {OBJECTS} objects", await list_time(cluster), await list_time(bare), "ms")
        for count, size in steps:
            rows.append([f"memory an object, up to {count} objects", f"{size:.0f} B", "", ""])
        old, new, grown = await bounded(cluster)
        rows.append([f"watch from before the last {LOG_SIZE} events", f"{old}", "", ""])
        rows.append(["watch from the newest version", f"{new}", "", ""])
        rows.append(["memory grown by 2000 writes to a full log", f"{grown:.1f} MB", "", ""])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table goes")
    page = parser.parse_args().page
    head = f"A dev cluster with {NODES} nodes against a bare aiohttp server (`make bench-devcluster`), side by side."
    table = [["what", "dev cluster", "bare aiohttp", "ratio"], ["---"] * 4, *asyncio.run(measure())]
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    write_section(page, "devcluster", "Dev cluster", f"{head}\n\n{text}")


if __name__ == "__main__":
    main()
