"""The store gives back exactly what was put, and says in plain words why it cannot."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dms_operator
from dms_operator.api.errors import ArtifactMissing, DigestMismatch, SourceRefused, StoreFull, StoreUnwritable
from dms_operator.api.stages import ModelFacts, StageResult
from dms_operator.artifacts.store import Store, open_store

RECIPE = "sha256:" + "a" * 64
PUT_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from dms_operator.api.errors import DMSError
from dms_operator.artifacts.store import open_store
root = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    open_store(f"file://{root}/store", roots=(root,)).put({"weights": root / "weights"})
except DMSError as error:
    print(error.reason, error)
"""
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store", roots=(tmp_path,))


def written(directory: Path, **contents: bytes) -> dict[str, Path]:
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for index, (name, data) in enumerate(contents.items()):
        files[name] = directory / str(index)
        files[name].write_bytes(data)
    return files


def success(store: Store, tmp_path: Path) -> StageResult:
    facts = ModelFacts(digest=RECIPE, format="onnx", inputs=[], outputs=[], parameters=1, size_bytes=1)
    artifact = store.put(written(tmp_path / "in", model=b"weights"))
    return StageResult(stage="resolve", recipe=RECIPE, artifact=artifact, model=facts)


def blobs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "store/blobs/sha256").iterdir())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.dictionaries(NAMES, st.binary(max_size=300), max_size=5))
def test_what_was_put_comes_back_whole(
    contents: dict[str, bytes], store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("round-trip")
    artifact = store.put(written(scratch / "in", **contents))
    fetched = store.fetch(artifact.digest, scratch / "out")
    assert {name: path.read_bytes() for name, path in fetched.items()} == contents
    assert artifact.size_bytes == sum(len(data) for data in contents.values())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200), position=st.integers(0, 199), flip=st.integers(1, 255))
def test_one_flipped_bit_anywhere_in_a_blob_is_found(
    data: bytes, position: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("flip")
    store = open_store(f"file://{scratch}/store", roots=(scratch,))
    artifact = store.put(written(scratch / "in", model=data))
    [blob] = [path for path in blobs(scratch) if path.read_bytes() == data]
    changed = bytearray(data)
    changed[position % len(data)] ^= flip
    blob.write_bytes(changed)
    with pytest.raises(DigestMismatch, match="is corrupt"):
        store.fetch(artifact.digest, scratch / "out")
    assert list((scratch / "out").iterdir()) == []


def test_equal_files_give_the_same_artifact_and_are_stored_once(store: Store, tmp_path: Path) -> None:
    first = store.put(written(tmp_path / "a", x=b"same", y=b"same"))
    before = blobs(tmp_path)
    second = store.put(written(tmp_path / "b", y=b"same", x=b"same"))
    assert first == second
    assert blobs(tmp_path) == before
    assert len(before) == 2


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "..", "a\0b", "x" * 200])
def test_a_file_name_that_is_a_path_is_refused(name: str, store: Store, tmp_path: Path) -> None:
    source = written(tmp_path / "in", x=b"1")["x"]
    with pytest.raises(ValueError, match="not a plain file name"):
        store.put({name: source})


def test_a_manifest_with_a_climbing_name_is_refused_even_with_the_right_digest(store: Store, tmp_path: Path) -> None:
    from dms_operator.api.base import canonical_json, digest_of

    artifact = store.put(written(tmp_path / "in", model=b"weights"))
    [blob] = [path for path in blobs(tmp_path) if path.read_bytes() == b"weights"]
    hostile = {"../../escape": {"digest": f"sha256:{blob.name}", "sizeBytes": 7}}
    digest = digest_of(hostile)
    (blob.parent / digest.removeprefix("sha256:")).write_bytes(canonical_json(hostile))
    with pytest.raises(DigestMismatch):
        store.fetch(digest, tmp_path / "out")
    assert artifact.digest != digest
    assert not (tmp_path / "escape").exists()


def test_a_missing_artifact_says_that_it_is_made_again(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="will run again"):
        store.fetch("sha256:" + "0" * 64, tmp_path / "out")


def test_a_recorded_success_is_found_and_marked_as_cached(store: Store, tmp_path: Path) -> None:
    result = success(store, tmp_path)
    store.record(result)
    assert store.lookup(RECIPE) == result.model_copy(update={"cached": True})


def test_a_record_without_its_bytes_counts_as_not_cached(store: Store, tmp_path: Path) -> None:
    store.record(success(store, tmp_path))
    [blob] = [path for path in blobs(tmp_path) if path.read_bytes() == b"weights"]
    blob.unlink()
    assert store.lookup(RECIPE) is None


def test_an_unknown_recipe_and_an_unreadable_record_are_not_cached(store: Store, tmp_path: Path) -> None:
    assert store.lookup(RECIPE) is None
    store.record(success(store, tmp_path))
    [record] = (tmp_path / "store/recipes").iterdir()
    record.write_text("{half")
    assert store.lookup(RECIPE) is None


def test_a_failure_is_never_recorded(store: Store) -> None:
    with pytest.raises(ValueError, match="only a success"):
        store.record(StageResult(stage="resolve", recipe=RECIPE))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_store_is_retryable_and_leaves_nothing_half_written(
    code: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, target: str, **_: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store._filesystem, "put_file", full)
    with pytest.raises(StoreFull, match="is full"):
        store.put(written(tmp_path / "in", model=b"weights"))
    assert blobs(tmp_path) == []


def test_a_real_limit_on_file_size_is_a_full_store(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(100_000))
    ended = subprocess.run(
        [sys.executable, "-c", PUT_UNDER_A_LIMIT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(dms_operator.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.startswith("StoreFull the artifact store"), ended.stderr
    assert blobs(tmp_path) == []


def test_a_really_read_only_file_system_is_terminal(tmp_path: Path) -> None:
    store = open_store("file:///sys/dms-store", roots=(Path("/sys"),))
    with pytest.raises(StoreUnwritable, match=r"spec\.artifacts\.uri"):
        store.put(written(tmp_path / "in", model=b"weights"))


def test_the_store_needs_no_machine_learning_library() -> None:
    code = "import sys, dms_operator.artifacts.store, dms_operator.artifacts.sources; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(dms_operator.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"numpy", "torch", "onnx", "onnxruntime"} & set(loaded)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_mount_is_terminal(
    code: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    files = written(tmp_path / "in", model=b"weights")
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreUnwritable, match=r"read-only.*spec\.artifacts\.uri"):
        store.put(files)


@pytest.mark.parametrize("uri", ["http://host/store", "/plain/path", "file:///etc/../artifacts", "ftp://host/x"])
def test_a_uri_that_cannot_hold_artifacts_is_refused(uri: str) -> None:
    with pytest.raises(SourceRefused):
        open_store(uri)


def test_a_store_outside_the_allowed_directories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="outside the allowed directories"):
        open_store("file:///etc/store", roots=(tmp_path,))


def test_s3_without_its_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    with pytest.raises(SourceRefused, match=r"dms-operator\[s3\]"):
        open_store("s3://bucket/store")


def test_only_the_files_asked_for_are_copied(tmp_path: Path) -> None:
    for name in ("small", "large"):
        (tmp_path / name).write_text(name)
    store = open_store(f"file://{tmp_path / 'store'}", (tmp_path,))
    digest = store.put({name: tmp_path / name for name in ("small", "large")}).digest
    assert store.fetch(digest, tmp_path / "into", ("small", "absent")).keys() == {"small"}
    assert not (tmp_path / "into" / "large").exists()
