"""Fetch what a user's URI points to, once, with a size limit, into a local file."""

import http.client
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from ..api.errors import SourceNotFound, SourceRefused, SourceUnavailable
from .copying import copy_hashed
from .object_stores import told_as_os_errors
from .uris import local_path, parse_uri, shown

LIMIT_VARIABLE = "DMS_MAX_INPUT_BYTES"
DEFAULT_LIMIT_BYTES = 4 << 30
HTTP_TIMEOUT_SECONDS = 30.0
"""Silence of the server after which we give up; the Job retries later."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}


def input_limit_bytes() -> int:
    """Largest model or dataset that we fetch, from DMS_MAX_INPUT_BYTES (default 4 GiB)."""
    return int(os.environ.get(LIMIT_VARIABLE) or DEFAULT_LIMIT_BYTES)


def fetch(
    uri: str,
    destination: Path,
    roots: Sequence[Path],
    limit_bytes: int,
    on_bytes: Callable[[int], None] | None = None,
) -> str:
    """Copy the bytes behind `uri` to the file `destination` and give their digest.

    Raises SourceRefused, SourceNotFound (terminal), SourceUnavailable, StoreFull (retryable).
    """
    scheme = parse_uri(uri).scheme
    try:
        if scheme == "file":
            source = _open_file(uri, local_path(uri, roots))
        elif scheme in ("http", "https"):
            source = _open_http(uri)
        else:
            source = _open_remote(uri, scheme)
        with source, told_as_os_errors():
            digest, size = copy_hashed(source, destination, limit_bytes, on_bytes)
    except OverflowError as error:
        raise SourceRefused(
            f"{shown(uri)} is larger than the limit of {limit_bytes} bytes",
            hint=f"Make it smaller, or let the operator raise {LIMIT_VARIABLE}",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        if scheme == "file":
            raise
        raise SourceUnavailable(f"{shown(uri)} stopped answering: {type(error).__name__}: {error}") from error
    _check_whole(uri, source, size, destination)
    return digest


def _open_file(uri: str, path: Path) -> BinaryIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceRefused(f"{shown(uri)} is not a regular file", hint="Name one file")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(
            f"nothing is at {shown(uri)}", hint="Check the path, and that the volume is mounted"
        ) from error
    except PermissionError as error:
        raise SourceRefused(
            f"no permission to read {shown(uri)}", hint="Make the file readable for the stage pods"
        ) from error


def _http_opener() -> urllib.request.OpenerDirector:
    # Only these handlers: the default opener would also follow a redirect to ftp:.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _open_http(uri: str) -> BinaryIO:
    try:
        return cast(BinaryIO, _http_opener().open(uri, timeout=HTTP_TIMEOUT_SECONDS))
    except urllib.error.HTTPError as error:
        error.close()
        raise _http_failure(uri, error.code) from error
    except urllib.error.URLError as error:
        raise SourceUnavailable(f"{shown(uri)} cannot be reached: {error.reason}") from error


def _http_failure(uri: str, status: int) -> Exception:
    if status in (404, 410):
        return SourceNotFound(f"nothing is at {shown(uri)} (HTTP {status})", hint="Check the path")
    if status in (408, 425, 429) or status >= 500:
        return SourceUnavailable(f"the server of {shown(uri)} answered HTTP {status}")
    return SourceRefused(
        f"the server of {shown(uri)} answered HTTP {status}", hint="Check the address and the permissions"
    )


def _open_remote(uri: str, scheme: str) -> BinaryIO:
    import fsspec

    try:
        with told_as_os_errors():
            return cast(BinaryIO, fsspec.open(uri, "rb").open())
    except ImportError as error:
        raise SourceRefused(
            f"{shown(uri)}: the stage image has no client for {scheme}://",
            hint=f"Install the extra dms-operator[{scheme}] (package {_PACKAGES[scheme]}) in the image",
        ) from error
    except FileNotFoundError as error:
        raise SourceNotFound(f"nothing is at {shown(uri)}", hint="Check bucket and path") from error
    except PermissionError as error:
        raise SourceRefused(
            f"no permission to read {shown(uri)}: {error}", hint="Check spec.model.secretRef"
        ) from error
    except OSError as error:
        raise SourceUnavailable(f"{shown(uri)} cannot be reached: {error}") from error


def _check_whole(uri: str, source: BinaryIO, size: int, destination: Path) -> None:
    """A server that hangs up early gives a short body without an error."""
    if not isinstance(source, http.client.HTTPResponse):
        return
    promised = source.headers.get("Content-Length")
    if promised is not None and promised.isdigit() and int(promised) != size:
        destination.unlink()
        raise SourceUnavailable(f"{shown(uri)} broke off after {size} of {promised} bytes")
