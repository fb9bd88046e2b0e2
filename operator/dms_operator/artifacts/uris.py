"""Which URIs we open at all, decided before anything is opened."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ..api.errors import SourceRefused
from .paths import sandboxed

SCHEMES = ("file", "http", "https", "s3", "gs")
_MAX_ENCODINGS = 5


def parse_uri(uri: str) -> SplitResult:
    """Split a URI after refusing unknown schemes, traversal (also percent-encoded), and credentials in the text.

    Raises SourceRefused.
    """
    if any(ord(character) < 0x21 or character == "\\" or ord(character) == 0x7F for character in uri):
        raise SourceRefused(
            "the URI holds spaces, control characters or backslashes", hint="Write them as %20 and so on"
        )
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise SourceRefused(f"{uri!r} is not a URI: {error}", hint=_examples()) from error
    if parts.scheme not in SCHEMES:
        scheme = f"unknown scheme {parts.scheme + ':'!r}" if parts.scheme else "no scheme"
        raise SourceRefused(f"{shown(uri)} has {scheme}", hint=_examples())
    if ".." in _segments(parts.path) or ".." in _segments(parts.netloc):
        raise SourceRefused(f"{shown(uri)} climbs out of its directory with '..'", hint="Write the full path")
    if "\0" in _decoded(parts.path):
        raise SourceRefused(f"{shown(uri)} holds an encoded null character", hint="Remove %00")
    if "@" in parts.netloc:
        raise SourceRefused(
            f"{shown(uri)} holds credentials, which would show in status and logs",
            hint="Remove them, and name a Secret in spec.model.secretRef",
        )
    return parts


def local_path(uri: str, roots: Sequence[Path]) -> Path:
    """The real path behind a `file:` URI; symlinks are followed, and must end below one of the roots.

    Raises SourceRefused.
    """
    parts = parse_uri(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise SourceRefused(f"{shown(uri)} names no absolute path", hint="Write three slashes: file:///models/net.pt2")
    if parts.query or parts.fragment:
        raise SourceRefused(f"{shown(uri)} has a query or fragment", hint="Write only the path after file://")
    path = Path(unquote(parts.path))
    allowed = ", ".join(str(root) for root in roots) or "none"
    for root in roots:
        if path.is_relative_to(root) and sandboxed(path).resolve().is_relative_to(sandboxed(root).resolve()):
            return sandboxed(path)
    inside = any(path.is_relative_to(root) for root in roots)
    problem = "is a symbolic link that leaves" if inside else "is outside"
    raise SourceRefused(
        f"{shown(uri)} {problem} the allowed directories ({allowed})",
        hint="Put the file on a volume mounted there, or allow its directory (the chart's value stages.fileRoots)",
    )


def shown(uri: str) -> str:
    """The URI as messages may show it: `public`, at most 200 characters."""
    return public(uri)[:200]


def public(uri: str) -> str:
    """The URI as everybody may see it: without credentials and query, which signed URLs hold."""
    head = uri.split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _examples() -> str:
    return "Write file:///models/net.pt2, https://…, s3://… or gs://…"


def _segments(text: str) -> list[str]:
    return _decoded(text).replace("\\", "/").split("/")


def _decoded(text: str) -> str:
    for _ in range(_MAX_ENCODINGS):
        decoded = unquote(text)
        if decoded == text:
            return text
        text = decoded
    raise SourceRefused("the URI is percent-encoded many times over", hint="Write it plainly")
