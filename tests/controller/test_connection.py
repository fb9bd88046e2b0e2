"""Requests whose credentials are refused: new ones are fetched at once, where there are any."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException

from dms_operator.controller.connection import Connection
from dms_operator.controller.credentials import RELOAD_SECONDS, Credentials
from dms_operator.controller.watching import Stream, WatchMonitor
from dms_operator.controller.web import serving

DEPLOYMENTS = Stream("deployments", None)


class Api:
    """An API server that takes one token, and the file that its clients have theirs from."""

    def __init__(self) -> None:
        self.accepted = self.file = "old"
        self.refused = 0
        self.bodies: list[str] = []
        self.loads = 0
        self.now = 0.0
        self.url = ""
        self.counted: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.text())
        if request.headers.get("Authorization") != f"Bearer {self.accepted}":
            self.refused += 1
            return web.Response(status=401)
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})

    def count(self, verb: str, code: str) -> None:
        self.counted.append(f"{verb} {code}")

    async def load(self) -> Configuration:
        self.loads += 1
        if not self.file:
            raise ConfigException("the file is empty")
        return self.configuration()

    def configuration(self) -> Configuration:
        configuration = Configuration()
        configuration.host = self.url
        configuration.api_key["BearerToken"] = f"Bearer {self.file}"
        return configuration


@contextlib.asynccontextmanager
async def connected(api: Api) -> AsyncIterator[Connection]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    async with serving(app, "127.0.0.1", 0) as port:
        api.url = f"http://127.0.0.1:{port}"
        credentials = Credentials(api.configuration(), api.load, lambda: api.now)
        monitor = WatchMonitor([DEPLOYMENTS], lambda *_: None, lambda: api.now)
        connection = Connection(
            credentials, lambda verb, code: api.counted.append(f"{verb} {code}"), monitor.middleware
        )
        try:
            yield connection
        finally:
            await connection.close()


async def status_of(connection: Connection, method: str = "GET", body: bytes | None = None) -> int:
    async with await connection.request(method, "/anything", data=body) as response:
        return response.status


async def test_a_request_that_is_refused_is_made_again_with_the_new_token_and_its_body() -> None:
    api = Api()
    async with connected(api) as connection:
        api.accepted = api.file = "new"
        assert await status_of(connection, "POST", b"{}") == 200
    assert api.bodies == ["{}", "{}"]
    assert api.counted == ["POST 401", "POST 200"]


async def test_while_there_is_no_new_token_it_is_looked_for_once_a_second() -> None:
    api = Api()
    async with connected(api) as connection:
        api.accepted = "new"
        assert [await status_of(connection) for _ in range(5)] == [401] * 5
        assert (api.loads, api.refused) == (1, 5)
        api.now += RELOAD_SECONDS
        api.file = "new"
        assert await status_of(connection) == 200


async def test_a_token_file_that_is_half_written_is_read_again_later() -> None:
    api = Api()
    async with connected(api) as connection:
        api.accepted, api.file = "new", ""
        assert await status_of(connection) == 401
        api.file = "new"
        api.now += RELOAD_SECONDS
        assert await status_of(connection) == 200


async def test_kopf_is_told_of_refused_credentials_as_of_a_broken_connection_which_it_waits_for() -> None:
    api = Api()
    async with connected(api) as connection:
        api.accepted = "new"
        session = connection.login().aiohttp_session
        async with session:
            with pytest.raises(aiohttp.ClientConnectionError, match="refused"):
                await session.get(api.url + DEPLOYMENTS.path)


async def test_what_kopf_closes_is_not_the_session_of_our_own_requests() -> None:
    api = Api()
    async with connected(api) as connection:
        await connection.login().aiohttp_session.close()
        assert await status_of(connection) == 200
