"""The two servers that bench_devcluster.py compares, each in a process of its own.

`bare` is what aiohttp can do at best: TLS, a token, JSON in and out, a dict as store, watchers that get every
write. `cluster` is a dev cluster with nodes and all its controllers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from dms_operator.devcluster.cluster import DevCluster
from dms_operator.devcluster.config import DevClusterConfig, NodeConfig
from dms_operator.devcluster.server import tls

TOKEN = "bench"


class Bare:
    """Stores what is posted under its path, merges what is patched, streams what is written."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = {}
        self._watchers: set[asyncio.Queue[bytes]] = set()

    async def start(self) -> dict[str, str]:
        """Listen; the way to it."""
        certificates = tls.generate()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.context()).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        return {"url": url, "token": TOKEN, "authority": certificates.authority.decode()}

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        if request.method == "GET":
            return await self._watch(request) if "watch" in request.query else self._list(request)
        body = orjson.loads(await request.read())
        if request.method == "POST":
            path = f"{request.path}/{body['metadata']['name']}"
            stored = self._objects[path] = body
        else:
            path = request.path.removesuffix("/status")
            stored = self._objects[path] = {**self._objects[path], **body}
        text = orjson.dumps(stored)
        for watcher in self._watchers:
            watcher.put_nowait(b'{"type":"MODIFIED","object":%s}\n' % text)
        return web.Response(body=text, status=201, content_type="application/json")

    def _list(self, request: web.Request) -> web.Response:
        items = [obj for path, obj in self._objects.items() if path.startswith(request.path)]
        return web.Response(body=orjson.dumps({"items": items}), content_type="application/json")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._watchers.add(inbox)
        try:
            while True:
                await response.write(await inbox.get())
        except ConnectionResetError:  # the client has left
            return response
        finally:
            self._watchers.discard(inbox)


async def _cluster(nodes: int, directory: Path) -> tuple[DevCluster, dict[str, str]]:
    names = (NodeConfig(name=f"node-{index}") for index in range(nodes))
    cluster = DevCluster(DevClusterConfig(data_directory=directory, nodes=tuple(names)))
    await cluster.start()
    server = cluster.server
    return cluster, {
        "url": server.url,
        "token": server.token,
        "authority": server.certificates.authority.decode(),
    }


async def _serve(kind: str, nodes: int) -> None:
    """Serve until standard input ends."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    with tempfile.TemporaryDirectory(prefix="dms-bench-") as directory:
        if kind == "bare":
            cluster, way = None, await Bare().start()
        else:
            cluster, way = await _cluster(nodes, Path(directory))
        print(json.dumps(way), flush=True)
        await ended.wait()
        if cluster is not None:
            await cluster.stop()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
