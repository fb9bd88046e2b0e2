"""Content-addressed store of artifacts over fsspec.

Layout: `blobs/sha256/<hex>` holds files and manifests, `recipes/<hex>.json` the results of recipes,
`attestations/<hex>.json` provenance, bill of materials and signature of an artifact.
A manifest is the canonical JSON `{file name: {digest, sizeBytes}}`; its digest is the artifact's digest.
"""

import io
import json
import logging
import re
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from ..api.base import canonical_json, digest_of
from ..api.errors import ArtifactMissing, DigestMismatch, SourceRefused, StoreUnavailable
from ..api.stages import Artifact, RemovalFacts, StageResult
from .attestation import Attestation
from .blobs import BlobWriter, store_errors
from .copying import copy_hashed, file_digest
from .paths import allowed_roots
from .removal import Sweep
from .uris import local_path, parse_uri, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MANIFEST_LIMIT_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class _Told:
    """A file whose failures are told apart from those of where it is copied to."""

    def __init__(self, file: BinaryIO, told: Callable[[], AbstractContextManager[None]]) -> None:
        self._file, self._told = file, told

    def read(self, size: int) -> bytes:
        """As a file does."""
        with self._told():
            return self._file.read(size)


class Store:
    """Immutable artifacts under their digests, and which recipe gave which result."""

    def __init__(self, filesystem: Any, root: str, uri: str) -> None:
        self.uri = uri
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._writer = BlobWriter(filesystem)

    def put(self, files: dict[str, Path]) -> Artifact:
        """Store files under their names and give the artifact; storing the same files again writes nothing.

        Raises ValueError on a name that is no plain file name, StoreUnwritable, StoreFull, StoreUnavailable.
        """
        manifest: dict[str, dict[str, Any]] = {}
        for name in sorted(files):
            _check_name(name)
            manifest[name] = {"digest": file_digest(files[name]), "sizeBytes": files[name].stat().st_size}
        with store_errors(self.uri):
            for name, entry in manifest.items():
                self._put_blob(entry["digest"], files[name])
            self._put_manifest(manifest)
        return Artifact(digest=digest_of(manifest), size_bytes=sum(entry["sizeBytes"] for entry in manifest.values()))

    def fetch(self, digest: str, into: Path, names: Container[str] | None = None) -> dict[str, Path]:
        """Copy an artifact's files (or those of `names` that it has) into a directory, each verified meanwhile.

        Raises ArtifactMissing, DigestMismatch, StoreFull (of the directory), StoreUnavailable.
        """
        manifest = self.manifest(digest)
        into.mkdir(parents=True, exist_ok=True)
        wanted = {name: entry for name, entry in manifest.items() if names is None or name in names}
        return {name: self._fetch_blob(entry, into / name) for name, entry in wanted.items()}

    def attest(self, digest: str, attestation: Attestation) -> None:
        """Put an artifact's documents beside it, in one piece. Raises as `put` does."""
        with store_errors(self.uri):
            self._writer.write_bytes(self._attestation_path(digest), canonical_json(attestation.to_wire()))

    def attestation(self, digest: str) -> Attestation | None:
        """The documents beside an artifact; None when there are none that can be read."""
        try:
            return Attestation.model_validate_json(self._read(self._attestation_path(digest)))
        except (ArtifactMissing, ValidationError):
            return None

    def record(self, result: StageResult) -> None:
        """Remember a success under its recipe's digest. Raises as `put` does."""
        if result.failure is not None or result.artifact is None:
            raise ValueError("only a success with an artifact can be recorded")
        with store_errors(self.uri):
            self._writer.write_bytes(self._recipe_path(result.recipe), canonical_json(result.to_wire()))

    def lookup(self, recipe_digest: str) -> StageResult | None:
        """The recorded result of a recipe, marked as cached, if its artifact is still complete."""
        try:
            text = self._read(self._recipe_path(recipe_digest))
            result = StageResult.model_validate_json(text)
            if result.artifact is None or not self.is_complete(result.artifact.digest):
                return None
        except (ArtifactMissing, DigestMismatch):
            return None
        except ValidationError as error:
            _log.warning("record of %s is unreadable and will be made anew: %s", recipe_digest, error)
            return None
        return result.model_copy(update={"cached": True})

    def manifest(self, digest: str) -> dict[str, dict[str, Any]]:
        """An artifact's files by name, {digest, sizeBytes}. Raises ArtifactMissing, StoreUnavailable."""
        text = self._read(self._blob_path(digest))
        manifest = _parsed_manifest(text)
        if manifest is None or digest_of(manifest) != digest:
            raise self._corrupt(digest)
        return manifest

    def is_complete(self, digest: str) -> bool:
        """Whether the manifest and every blob of an artifact are there in full length. Raises ArtifactMissing."""
        with store_errors(self.uri):
            return all(
                self._filesystem.exists(path) and self._filesystem.size(path) == entry["sizeBytes"]
                for entry in self.manifest(digest).values()
                for path in [self._blob_path(entry["digest"])]
            )

    def remove(self, artifacts: Iterable[str], recipes: Iterable[str]) -> RemovalFacts:
        """Delete artifacts by digest and the records of recipes; what is gone already is no error.

        A file stays while any other artifact of the store holds the same bytes. Records go first, so that no stage
        finds a result whose artifact is on its way out. Raises StoreUnwritable, StoreUnavailable.
        """
        doomed = {digest: manifest for digest in artifacts if (manifest := self._manifest_at(digest)) is not None}
        with store_errors(self.uri):
            records = sum([self._delete(self._recipe_path(recipe)) for recipe in recipes])
            sweep = Sweep(
                doomed, lambda: self._manifests_besides(doomed), lambda blob: self._delete(self._blob_path(blob))
            )
            freed = sweep()
            for digest in doomed:
                self._delete(self._attestation_path(digest))
            manifests = sum([self._delete(self._blob_path(digest)) for digest in doomed])
            freed += sweep()
        return RemovalFacts(artifacts=manifests, recipes=records, freed_bytes=freed)

    def _manifest_at(self, digest: str) -> dict[str, dict[str, Any]] | None:
        """A manifest, or None when it is gone or corrupt."""
        try:
            return self.manifest(digest)
        except (ArtifactMissing, DigestMismatch):
            return None

    def _manifests_besides(self, digests: Container[str]) -> Iterator[dict[str, dict[str, Any]]]:
        """All manifests of the store but these. Which blob is one is known by its content and length alone."""
        folder = f"{self._root}/blobs/sha256"
        for entry in self._filesystem.ls(folder, detail=True) if self._filesystem.exists(folder) else ():
            digest = f"sha256:{entry['name'].rsplit('/', 1)[-1]}"
            is_small = entry["type"] == "file" and entry["size"] <= _MANIFEST_LIMIT_BYTES
            if is_small and _DIGEST.fullmatch(digest) and digest not in digests:
                manifest = self._manifest_at(digest)
                if manifest is not None:
                    yield manifest

    def _delete(self, path: str) -> bool:
        """Delete a file; says whether there was one."""
        try:
            self._filesystem.rm_file(path)
        except FileNotFoundError:
            return False
        return True

    def _put_blob(self, digest: str, source: Path) -> None:
        path = self._blob_path(digest)
        if not (self._filesystem.exists(path) and self._filesystem.size(path) == source.stat().st_size):
            self._writer.write_file(path, source)

    def _put_manifest(self, manifest: dict[str, Any]) -> None:
        path = self._blob_path(digest_of(manifest))
        if not self._filesystem.exists(path):
            self._writer.write_bytes(path, canonical_json(manifest))

    def _fetch_blob(self, entry: dict[str, Any], target: Path) -> Path:
        expected, size = entry["digest"], entry["sizeBytes"]
        path = self._blob_path(expected)
        with self._told(path):
            opened = self._filesystem.open(path, "rb")
        try:
            with opened:
                found = copy_hashed(_Told(opened, lambda: self._told(path)), target, limit_bytes=size)
        except OverflowError as error:
            raise self._corrupt(expected) from error
        if found != (expected, size):
            target.unlink()
            raise self._corrupt(expected)
        return target

    def _read(self, path: str) -> bytes:
        with self._told(path), self._filesystem.open(path, "rb") as file:
            text: bytes = file.read(_MANIFEST_LIMIT_BYTES)
            return text

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """That a file is gone, or that the store fails, in our words."""
        try:
            with store_errors(self.uri):
                yield
        except FileNotFoundError as error:
            raise ArtifactMissing(
                f"{path.removeprefix(self._root + '/')} is gone from the store {shown(self.uri)}",
                hint="The stage that makes it will run again",
            ) from error

    def _corrupt(self, digest: str) -> DigestMismatch:
        return DigestMismatch(
            f"{digest} in the store {shown(self.uri)} is corrupt",
            hint=f"Delete {self._blob_path(digest).removeprefix(self._root + '/')} there; it will be made anew",
        )

    def _blob_path(self, digest: str) -> str:
        _check_digest(digest)
        return f"{self._root}/blobs/sha256/{digest.removeprefix('sha256:')}"

    def _attestation_path(self, digest: str) -> str:
        _check_digest(digest)
        return f"{self._root}/attestations/{digest.removeprefix('sha256:')}.json"

    def _recipe_path(self, digest: str) -> str:
        _check_digest(digest)
        return f"{self._root}/recipes/{digest.removeprefix('sha256:')}.json"


def open_store(uri: str, roots: tuple[Path, ...] | None = None) -> Store:
    """Open the store at a URI (file, s3, gs); `roots` are allowed for `file:`, by default those of the environment.

    Raises SourceRefused.
    """
    scheme = parse_uri(uri).scheme
    if scheme == "file":
        return Store(LocalFileSystem(auto_mkdir=True), str(local_path(uri, roots or allowed_roots())), uri)
    if scheme not in ("s3", "gs"):
        raise SourceRefused(f"{shown(uri)} cannot hold artifacts", hint="Write file:///artifacts/…, s3://… or gs://…")
    try:
        # other processes write here too, so a listing must not be remembered
        filesystem, root = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except ImportError as error:
        raise SourceRefused(
            f"{shown(uri)}: this image has no client for {scheme}://",
            hint=f"Install the extra dms-operator[{scheme}]",
        ) from error
    except OSError as error:
        raise StoreUnavailable(f"the store {shown(uri)} cannot be reached: {error}") from error
    return Store(filesystem, root, uri)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a plain file name")


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest of the form sha256:<64 hex digits>")


def _parsed_manifest(text: bytes) -> dict[str, dict[str, Any]] | None:
    """The manifest, or None when the bytes are no manifest."""
    try:
        manifest = json.load(io.BytesIO(text))
        for name, entry in manifest.items():
            _check_name(name)
            _check_digest(entry["digest"])
            if not isinstance(entry["sizeBytes"], int):
                return None
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return dict(manifest)
