"""Artifacts go when asked; what others hold stays, and a removal that was cut short can be run again."""

from pathlib import Path

import pytest

from dms_operator.api.errors import ArtifactMissing, StoreUnwritable
from dms_operator.api.stages import Artifact, ModelFacts, RemovalFacts, StageResult
from dms_operator.artifacts.store import Store, open_store

RECIPE = "sha256:" + "a" * 64
OTHER_RECIPE = "sha256:" + "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store", roots=(tmp_path,))


def put(store: Store, scratch: Path, **files: bytes) -> Artifact:
    scratch.mkdir(exist_ok=True)
    paths = {name: scratch / name for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    return store.put(paths)


def record(store: Store, recipe: str, artifact: Artifact) -> None:
    facts = ModelFacts(digest=RECIPE, format="onnx", inputs=[], outputs=[], parameters=1, size_bytes=1)
    store.record(StageResult(stage="resolve", recipe=recipe, artifact=artifact, model=facts))


def left(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_an_artifact_goes_with_its_files_and_its_record(store: Store, tmp_path: Path) -> None:
    artifact = put(store, tmp_path / "in", model=b"weights", dataset=b"samples")
    record(store, RECIPE, artifact)
    assert store.remove([artifact.digest], [RECIPE]) == RemovalFacts(artifacts=1, recipes=1, freed_bytes=14)
    assert left(tmp_path) == []
    assert store.lookup(RECIPE) is None


def test_a_file_that_another_artifact_holds_stays(store: Store, tmp_path: Path) -> None:
    mine = put(store, tmp_path / "mine", model=b"my weights", dataset=b"samples")
    other = put(store, tmp_path / "other", model=b"other weights", dataset=b"samples")
    record(store, OTHER_RECIPE, other)
    assert store.remove([mine.digest], []).freed_bytes == len(b"my weights")
    found = store.fetch(other.digest, tmp_path / "out")
    assert found["dataset"].read_bytes() == b"samples"
    assert store.lookup(OTHER_RECIPE) is not None
    with pytest.raises(ArtifactMissing):
        store.fetch(mine.digest, tmp_path / "gone")


def test_the_last_of_two_artifacts_takes_the_shared_file_along(store: Store, tmp_path: Path) -> None:
    artifacts = [put(store, tmp_path / name, own=name.encode(), shared=b"samples") for name in ("one", "two")]
    for artifact in artifacts:
        store.remove([artifact.digest], [])
    assert left(tmp_path) == []


def test_a_removal_that_was_cut_short_is_finished_by_the_next(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = put(store, tmp_path / "in", one=b"1", two=b"22", three=b"333")
    deleted: list[str] = []

    def fail_after_two(path: str) -> bool:
        if len(deleted) == 2:
            raise PermissionError(13, "Permission denied")
        deleted.append(path)
        return delete(path)

    delete = store._delete
    monkeypatch.setattr(store, "_delete", fail_after_two)
    with pytest.raises(StoreUnwritable):
        store.remove([artifact.digest], [])
    monkeypatch.undo()
    assert store.remove([artifact.digest], []).artifacts == 1
    assert left(tmp_path) == []


def test_a_second_removal_finds_nothing_and_that_is_no_error(store: Store, tmp_path: Path) -> None:
    artifact = put(store, tmp_path / "in", model=b"weights")
    store.remove([artifact.digest], [RECIPE])
    assert store.remove([artifact.digest], [RECIPE]) == RemovalFacts(artifacts=0, recipes=0, freed_bytes=0)


def test_a_file_that_only_looks_like_json_is_no_manifest(store: Store, tmp_path: Path) -> None:
    put(store, tmp_path / "other", report=b'{"digest": "none"}', numbers=b"[1, 2]")
    artifact = put(store, tmp_path / "in", model=b"weights")
    before = len(left(tmp_path))
    store.remove([artifact.digest], [])
    assert len(left(tmp_path)) == before - 2


def test_only_digests_name_what_is_removed(store: Store) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        store.remove(["../../etc/passwd"], [])
    with pytest.raises(ValueError, match="not a digest"):
        store.remove([], ["../../etc/passwd"])
