"""The operator's HTTP server: /metrics, /healthz, /readyz."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from .health import Health


def _answer(problems: list[str]) -> web.Response:
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")


def application(health: Health, registry: CollectorRegistry, more: Callable[[], Iterator[bytes]]) -> web.Application:
    """The routes. `more` gives the rest of the metrics' text, in pieces."""

    async def metrics(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE_LATEST})
        await response.prepare(request)
        await response.write(generate_latest(registry))
        # Piece by piece: of thousands of deployments the whole text is large, and the work would wait for it.
        for piece in more():
            await response.write(piece)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    def probe(check: Callable[[], list[str]]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            return _answer(check())

        return answer

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", probe(health.problems))  # type: ignore[arg-type]
    app.router.add_get("/readyz", probe(health.missing))  # type: ignore[arg-type]
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the context is open; gives the port (of use when 0 was asked for). Raises OSError."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
