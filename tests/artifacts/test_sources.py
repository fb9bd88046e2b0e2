"""Every URI ends in the right bytes, or in one message that says what to change."""

import errno
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.errors import SourceNotFound, SourceRefused, SourceUnavailable, StoreFull
from dms_operator.artifacts import sources
from dms_operator.artifacts.copying import file_digest
from dms_operator.artifacts.sources import fetch
from dms_operator.artifacts.uris import parse_uri, shown

LIMIT = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "models"
    directory.mkdir()
    (directory / "net.onnx").write_bytes(b"weights")
    (tmp_path / "secret").write_bytes(b"secret")
    return directory


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.removeprefix("/").split("?")[0]
        if name.isdigit():
            self.send_error(int(name))
        elif name == "short":
            self._answer(b"half", length=8)
        elif name.startswith("to-"):
            self.send_response(302)
            self.send_header("Location", {"to-file": "file:///etc/passwd", "to-net": "/net"}[name])
            self.end_headers()
        else:
            self._answer(b"weights", length=7)

    def _answer(self, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_a_file_below_a_root_is_copied_with_its_digest(root: Path, destination: Path) -> None:
    assert fetch(f"file://{root}/net.onnx", destination, [root], LIMIT) == file_digest(root / "net.onnx")
    assert destination.read_bytes() == b"weights"


def test_a_missing_file_says_where_it_looked(root: Path, destination: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"nothing is at file://.*gone\.onnx"):
        fetch(f"file://{root}/gone.onnx", destination, [root], LIMIT)


@pytest.mark.parametrize(
    "tail", ["../secret", "%2e%2e/secret", "%252e%252e/secret", "a/..%2f..%2fsecret", "..%5csecret", "x%2500"]
)
def test_a_climbing_uri_is_refused_however_it_is_encoded(tail: str, root: Path, destination: Path) -> None:
    with pytest.raises(SourceRefused):
        fetch(f"file://{root}/{tail}", destination, [root], LIMIT)
    assert not destination.exists()


def test_a_file_outside_the_roots_is_refused_and_the_roots_are_named(root: Path, destination: Path) -> None:
    with pytest.raises(SourceRefused, match=f"outside the allowed directories \\({root}\\)"):
        fetch(f"file://{root.parent}/secret", destination, [root], LIMIT)


def test_a_directory_whose_name_only_begins_like_a_root_is_outside(root: Path, destination: Path) -> None:
    neighbour = root.with_name("models-of-others")
    neighbour.mkdir()
    (neighbour / "net.onnx").write_bytes(b"theirs")
    with pytest.raises(SourceRefused, match="outside"):
        fetch(f"file://{neighbour}/net.onnx", destination, [root], LIMIT)


def test_a_symlink_that_leaves_the_root_is_refused(root: Path, destination: Path) -> None:
    (root / "link").symlink_to(root.parent / "secret")
    with pytest.raises(SourceRefused, match="symbolic link that leaves"):
        fetch(f"file://{root}/link", destination, [root], LIMIT)


def test_a_symlink_inside_the_root_is_followed(root: Path, destination: Path) -> None:
    (root / "latest").symlink_to("net.onnx")
    fetch(f"file://{root}/latest", destination, [root], LIMIT)
    assert destination.read_bytes() == b"weights"


def test_a_root_that_is_itself_a_symlink_is_followed(root: Path, destination: Path) -> None:
    mount = root.with_name("mounted")
    mount.symlink_to(root)
    fetch(f"file://{mount}/net.onnx", destination, [mount], LIMIT)
    assert destination.read_bytes() == b"weights"


def test_container_paths_are_read_below_the_sandbox_mount(
    root: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_SANDBOX_MOUNT_POINT", str(root.parent))
    fetch("file:///models/net.onnx", destination, [Path("/models")], LIMIT)
    assert destination.read_bytes() == b"weights"


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_no_regular_file_is_refused_without_blocking(kind: str, root: Path, destination: Path) -> None:
    path = root / "odd"
    path.mkdir() if kind == "directory" else os.mkfifo(path)
    with pytest.raises(SourceRefused, match="not a regular file"):
        fetch(f"file://{path}", destination, [root], LIMIT)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/models/net.onnx", "no scheme"),
        ("ftp://host/net", "unknown scheme 'ftp:'"),
        ("python://x", "unknown scheme"),
        ("file://host/models/net", "three slashes"),
        ("file:///models/net?x=1", "query"),
        ("https://user:hunter2@host/net", "credentials"),
        ("https://host/a b", "spaces"),
        ("oci://registry/net", "unknown scheme 'oci:'"),
    ],
)
def test_a_uri_that_we_do_not_open_says_what_to_write(uri: str, message: str, destination: Path) -> None:
    with pytest.raises(SourceRefused, match=message) as caught:
        fetch(uri, destination, [Path("/models")], LIMIT)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("uri", "extra"), [("s3://bucket/net", "s3"), ("gs://bucket/net", "gs")])
def test_a_scheme_without_its_client_names_the_extra(uri: str, extra: str, destination: Path) -> None:
    with pytest.raises(SourceRefused, match=rf"dms-operator\[{extra}\]"):
        fetch(uri, destination, [], LIMIT)


def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(root: Path, destination: Path) -> None:
    with pytest.raises(SourceRefused, match="larger than the limit of 6 bytes"):
        fetch(f"file://{root}/net.onnx", destination, [root], 6)
    assert [path.name for path in destination.parent.iterdir() if path.is_file()] == ["secret"]


def test_a_full_scratch_disk_is_retryable(root: Path, destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dms_operator.artifacts.copying._pump", full)
    with pytest.raises(StoreFull, match="scratch space"):
        fetch(f"file://{root}/net.onnx", destination, [root], LIMIT)


@pytest.mark.parametrize("path", ["net", "to-net"])
def test_http_is_fetched_also_by_redirect(path: str, server: str, destination: Path) -> None:
    assert fetch(f"{server}/{path}?signature=x", destination, [], LIMIT).startswith("sha256:")
    assert destination.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, SourceRefused),
        (401, SourceRefused),
        (404, SourceNotFound),
        (500, SourceUnavailable),
        (503, SourceUnavailable),
        (429, SourceUnavailable),
    ],
)
def test_http_errors_are_terminal_or_retryable_by_status(
    status: int, error: type[Exception], server: str, destination: Path
) -> None:
    with pytest.raises(error, match=f"HTTP {status}"):
        fetch(f"{server}/{status}", destination, [], LIMIT)


def test_a_redirect_to_a_file_is_not_followed(server: str, destination: Path) -> None:
    with pytest.raises((SourceRefused, SourceUnavailable)):
        fetch(f"{server}/to-file", destination, [], LIMIT)
    assert not destination.exists()


def test_a_body_that_breaks_off_is_retryable_and_removed(server: str, destination: Path) -> None:
    with pytest.raises(SourceUnavailable, match="broke off after 4 of 8 bytes"):
        fetch(f"{server}/short", destination, [], LIMIT)
    assert not destination.exists()


def test_a_server_that_does_not_listen_is_retryable(destination: Path) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        fetch("http://127.0.0.1:9/net", destination, [], LIMIT)


def test_a_silent_server_times_out_as_retryable(
    server: str, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "HTTP_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(Handler, "do_GET", lambda _: threading.Event().wait(1))
    with pytest.raises(SourceUnavailable):
        fetch(f"{server}/net", destination, [], LIMIT)


@given(st.text(max_size=60))
def test_no_text_whatever_crashes_the_check(text: str) -> None:
    for uri in (text, f"file:///{text}", f"https://host/{text}"):
        try:
            parts = parse_uri(uri)
        except SourceRefused:
            continue
        assert ".." not in parts.path.split("/")


def test_a_signed_uri_is_shown_without_its_signature() -> None:
    assert shown("https://user:pass@host/net?sig=1#x") == "https://host/net"
