"""Where training goes on after its pod was killed: one file in the artifact store, named after the recipe.

The pod's scratch space is gone with the pod, and a volume of its own would be one more thing to set up per cluster.
The store is there for every stage pod, wherever it is scheduled next, on disks and in buckets alike. The recipe's
digest covers model, data, settings, seed and image, so a checkpoint can never be taken up by another training.
"""

import io
import logging
from pathlib import Path
from typing import Any

import fsspec
import torch
from fsspec.implementations.local import LocalFileSystem

from ...artifacts.blobs import BlobWriter, store_errors
from ...artifacts.uris import local_path, parse_uri

_log = logging.getLogger(__name__)

State = dict[str, Any]


class Checkpoints:
    """The checkpoint of one recipe."""

    def __init__(self, store_uri: str, recipe: str, roots: tuple[Path, ...]) -> None:
        """`recipe` is the recipe's digest; `roots` are the directories that a `file:` store may lie in."""
        self._uri = store_uri
        if parse_uri(store_uri).scheme == "file":
            self._filesystem, root = LocalFileSystem(auto_mkdir=True), str(local_path(store_uri, roots))
        else:
            self._filesystem, root = fsspec.core.url_to_fs(store_uri, use_listings_cache=False)
        self._path = f"{root.rstrip('/')}/checkpoints/{recipe.removeprefix('sha256:')}.pt"

    def load(self) -> State | None:
        """The last state; None when there is none, or it cannot be read (training then starts anew)."""
        try:
            with store_errors(self._uri), self._filesystem.open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        try:
            state = torch.load(io.BytesIO(data), weights_only=True)
        except Exception as error:
            _log.warning("the checkpoint %s is unreadable, training starts anew: %s", self._path, error)
            return None
        return dict(state)

    def save(self, state: State) -> None:
        """Replace the checkpoint as a whole. Raises StoreFull, StoreUnwritable, StoreUnavailable."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        with store_errors(self._uri):
            BlobWriter(self._filesystem).write_bytes(self._path, buffer.getvalue())

    def remove(self) -> None:
        """Delete the checkpoint of a training that is done."""
        with store_errors(self._uri):
            if self._filesystem.exists(self._path):
                self._filesystem.rm_file(self._path)
