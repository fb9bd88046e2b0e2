"""Responses: JSON text, Status objects, warnings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

from dms_operator.devcluster.errors import ApiError

JSON = "application/json"
Chunks = AsyncGenerator[bytes, None]
STREAM_FILTER = web.RequestKey[Callable[[Chunks], Chunks]]("STREAM_FILTER")
"""A request may carry a function under this key through which the chunks of its answer go."""


def raw(text: bytes, code: int = 200, warnings: Iterable[str] = (), content_type: str = JSON) -> web.Response:
    """JSON text that is ready; each warning becomes a header (RFC 7234 code 299)."""
    headers: CIMultiDict[str] = CIMultiDict({"Content-Type": content_type})
    for warning in dict.fromkeys(warnings):
        escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
        headers.add("Warning", f'299 - "{escaped}"')
    return web.Response(body=text, status=code, headers=headers)


def json_response(body: Any, code: int = 200, content_type: str = JSON) -> web.Response:
    """A document."""
    return raw(orjson.dumps(body), code, content_type=content_type)


async def streamed(request: web.Request, chunks: Chunks, content_type: str) -> web.StreamResponse:
    """Chunks as they come. The headers go out at once, so that the client knows that it is heard."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    chunks = request.get(STREAM_FILTER, lambda unchanged: unchanged)(chunks)
    async with contextlib.aclosing(chunks):
        with contextlib.suppress(ConnectionResetError):  # a client may leave at any time, which is no error here
            await response.prepare(request)
            async for chunk in chunks:
                await response.write(chunk)
            await response.write_eof()
    return response


def error_response(error: ApiError) -> web.Response:
    """The Status of a refused request."""
    response = json_response(error.status, error.code)
    response.headers.update(error.headers)
    return response


def not_found_page() -> web.Response:
    """What the real server's mux answers for paths that it does not know."""
    return web.Response(text="404 page not found\n", status=404)
