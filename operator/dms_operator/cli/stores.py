"""Artifact stores as commands reach them: a folder, or a bucket."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dms_operator.artifacts.store import Store


def checked_digest(text: str) -> str:
    """An artifact's digest. Raises typer.BadParameter."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise typer.BadParameter(f"{text} is no digest: write sha256: and 64 hex digits")
    return text


def opened(uri: str) -> "Store":
    """The store at a URI; who may read a folder here may open it. Raises SourceRefused."""
    from dms_operator.artifacts.store import open_store
    from dms_operator.artifacts.uris import parse_uri

    parsed = parse_uri(uri)
    return open_store(uri, (Path(parsed.path),) if parsed.scheme == "file" else None)
