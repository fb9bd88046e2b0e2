"""Deleting artifacts: their files go unless another artifact holds the same bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Manifest = Mapping[str, Mapping[str, Any]]
"""File name to {digest, sizeBytes}."""


class Sweep:
    """Deletes the files of artifacts that nothing else in the store names.

    To be called before and after the artifacts' manifests go: a removal that is cut short finds its manifests again
    and goes on, and of two removals that share a file the later one deletes it.
    """

    def __init__(
        self,
        artifacts: Mapping[str, Manifest],
        others: Callable[[], Iterable[Manifest]],
        delete: Callable[[str], bool],
    ) -> None:
        """`others` reads all other manifests of the store anew; `delete` says whether there was such a file."""
        self._left = {entry["digest"]: int(entry["sizeBytes"]) for entry in _entries(artifacts.values())}
        self._others = others
        self._delete = delete

    def __call__(self) -> int:
        """Delete what nothing else names now; gives the bytes that this freed."""
        if not self._left:
            return 0
        named = {entry["digest"] for entry in _entries(self._others())}
        unnamed = [digest for digest in self._left if digest not in named]
        sizes = {digest: self._left.pop(digest) for digest in unnamed}
        return sum(size for digest, size in sizes.items() if self._delete(digest))


def _entries(manifests: Iterable[Manifest]) -> Iterator[Mapping[str, Any]]:
    for manifest in manifests:
        yield from manifest.values()
