"""A revision as it lies on a vehicle's disk, with all that is needed to verify it again without a store.

release.json            what it is: digests, board, toolchain
compiled/, benchmark/   the files of the two artifacts
papers/                 per artifact its manifest (whose digest is the artifact's) and its attestation
"""

import json
import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...api.base import Digest, Model, canonical_json, digest_of
from ...api.errors import DigestMismatch, NotPrefetched, StoreFull, VehicleFull
from ...api.vehicle import ActivateRecipe, PrefetchRecipe
from ...artifacts.attestation import Attestation
from ...artifacts.copying import file_digest
from ...artifacts.signing import Keys
from ...artifacts.store import Store
from ...toolchains.base import Progress

ARTIFACTS = ("compiled", "benchmark")
_RELEASE = "release.json"
_PAPERS = "papers"
_FIELDS = {"revision", "compiled", "benchmark", "board", "toolchain"}


class Papers(Model):
    """What stands beside an artifact on disk."""

    manifest: dict[str, "Entry"]
    attestation: Attestation | None = None


class Entry(Model):
    """A file of an artifact."""

    digest: Digest
    size_bytes: int


def bring(recipe: PrefetchRecipe, store: Store, into: Path, progress: Progress) -> None:
    """Fetch both artifacts and their papers into a new folder, each file verified on its way.

    Raises ArtifactMissing, DigestMismatch, StoreUnavailable, VehicleFull.
    """
    manifests = {name: store.manifest(getattr(recipe, name)) for name in ARTIFACTS}
    _check_room(into.parent, sum(entry["sizeBytes"] for each in manifests.values() for entry in each.values()))
    (into / _PAPERS).mkdir(parents=True)
    for done, (name, manifest) in enumerate(manifests.items()):
        progress("fetch", done, len(manifests))
        digest = getattr(recipe, name)
        try:
            store.fetch(digest, into / name)
        except StoreFull as error:
            raise _full(str(error)) from error
        papers = {"manifest": manifest, "attestation": _wire(store.attestation(digest))}
        (into / _PAPERS / f"{name}.json").write_bytes(canonical_json(papers))
    (into / _RELEASE).write_bytes(canonical_json(_release(recipe)))
    progress("fetch", len(manifests), len(manifests))


def verify(recipe: PrefetchRecipe | ActivateRecipe, folder: Path, keys: Keys, scratch: Path) -> int:
    """Check that a folder holds exactly this revision, to the last byte and signature; gives its bytes.

    Raises NotPrefetched, DigestMismatch, SignatureInvalid, SigningUnavailable.
    """
    if not _is(folder, stat.S_ISDIR):
        raise NotPrefetched(f"revision {recipe.revision} does not lie on {recipe.node}", hint=_HINT)
    _check_entries(folder, {_RELEASE, _PAPERS, *ARTIFACTS})
    _check_entries(folder / _PAPERS, {f"{name}.json" for name in ARTIFACTS})
    if _read(folder / _RELEASE) != _release(recipe):
        raise NotPrefetched(f"{folder / _RELEASE} tells of another release", hint=_HINT)
    return sum(_verify(getattr(recipe, name), folder, name, keys, scratch) for name in ARTIFACTS)


def _verify(digest: str, folder: Path, name: str, keys: Keys, scratch: Path) -> int:
    try:
        papers = Papers.model_validate(_read(folder / _PAPERS / f"{name}.json"))
    except ValidationError as error:
        raise NotPrefetched(f"the papers of {name} in {folder} cannot be read", hint=_HINT) from error
    manifest = {file: entry.to_wire() for file, entry in papers.manifest.items()}
    if digest_of(manifest) != digest:
        raise DigestMismatch(f"{folder / name} is not artifact {digest}", hint=_HINT)
    _check_entries(folder / name, manifest.keys())
    files = {file: folder / name / file for file in manifest}
    for file, entry in papers.manifest.items():
        if not _is(files[file], stat.S_ISREG) or file_digest(files[file]) != entry.digest:
            raise DigestMismatch(f"{files[file]} is not what artifact {digest} holds", hint=_HINT)
    keys.verify(digest, files, papers.attestation, scratch)
    return sum(entry.size_bytes for entry in papers.manifest.values())


def _check_entries(folder: Path, names: Collection[str]) -> None:
    """A real folder that holds exactly these entries."""
    if not _is(folder, stat.S_ISDIR):
        raise DigestMismatch(f"{folder} is no folder", hint=_HINT)
    if wrong := {entry.name for entry in folder.iterdir()} ^ set(names):
        raise DigestMismatch(f"{folder} lacks, or holds beyond what was signed: {', '.join(sorted(wrong))}", hint=_HINT)


def _release(recipe: PrefetchRecipe | ActivateRecipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", include=_FIELDS)


def _read(path: Path) -> Any:
    """A JSON file of ours; None where there is none that can be read."""
    try:
        return json.loads(path.read_bytes()) if _is(path, stat.S_ISREG) else None
    except ValueError:
        return None


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether an entry itself, not what a link points to, is of a kind."""
    try:
        return kind(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _wire(attestation: Attestation | None) -> Mapping[str, Any] | None:
    return attestation.to_wire() if attestation else None


def _check_room(folder: Path, wanted: int) -> None:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if wanted > free:
        raise _full(f"the revision takes {wanted} bytes, and {free} are free")


def _full(message: str) -> VehicleFull:
    return VehicleFull(f"the vehicle's disk is full: {message}", hint="Free some, or make the model smaller")


_HINT = "It has to be prefetched again"
