"""What the operator's HTTP server answers."""

import asyncio
from collections.abc import Iterator

import aiohttp
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from dms_operator.controller.health import Health
from dms_operator.controller.web import application, serving


async def test_metrics_are_the_text_of_the_registry_and_all_pieces_besides() -> None:
    registry = CollectorRegistry()
    Gauge("boards", "Boards", ["board"], registry=registry).labels("qcs8255").set(2)
    Counter("errors", "Errors", registry=registry).inc()
    pieces = [b"# HELP one One\n# TYPE one gauge\n", b'one{a="b"} 1.0\n', b""]
    app = application(Health(lambda: True, dict, lambda: 0.0), registry, lambda: iter(pieces))
    async with (
        serving(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.headers["Content-Type"] == CONTENT_TYPE_LATEST
        assert await answer.read() == generate_latest(registry) + b"".join(pieces)


async def test_other_work_comes_in_between_any_two_pieces() -> None:
    turns, seen = 0, []

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            seen.append(turns)
            yield b"# a piece\n"

    app = application(Health(lambda: True, dict, lambda: 0.0), CollectorRegistry(), pieces)
    working = asyncio.create_task(work())
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        await session.get(f"http://127.0.0.1:{port}/metrics")
    working.cancel()
    assert len(set(seen)) == len(seen) == 5, seen
