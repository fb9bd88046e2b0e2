"""Damage anywhere in a file ends in a terminal message, never in an internal error."""

import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import model_fixtures
from dms_operator.api.errors import DatasetInvalid, ModelInvalid, ModelShapeMismatch
from dms_operator.api.stages import TensorSpec
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.export import to_onnx
from dms_operator.pipeline.formats import model_format
from dms_operator.pipeline.onnx_file import check_weights, inputs_of
from dms_operator.pipeline.untrusted import reading

LIMIT = 1 << 30
FRAMES = TensorSpec(name="frames", shape=[1, 3, 16, 16])
DAMAGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4)
PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def quiet() -> object:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("good")
    model_fixtures.layernorm_net(directory / "onnx")
    model_fixtures.tiny_pt2(directory / "pt2")
    model_fixtures.tiny_dataset(directory / "npz", samples=6)
    return directory


def damaged(path: Path, damages: list[tuple[float, bytes]], target: Path) -> Path:
    """Overwrite bytes at relative positions; an empty piece cuts the file off there."""
    data = bytearray(path.read_bytes())
    for position, piece in damages:
        start = int(position * len(data))
        if piece:
            data[start : start + len(piece)] = piece
        else:
            del data[start:]
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_damaged_model_is_read_or_refused(kind: str, good: Path) -> None:
    @PATIENT
    @given(DAMAGES)
    def check(damages: list[tuple[float, bytes]]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            path = damaged(good / kind, damages, Path(scratch) / "model")
            try:
                with reading("the model file", ModelInvalid, "Upload it again"):
                    found = model_format(path, "auto", LIMIT)
                    if found == "onnx":
                        model = to_onnx(path, found, None, Path(scratch))
                        inputs_of(model)
                        check_weights(model)
                    else:
                        rewrite(path, Path(scratch))
            except (ModelInvalid, ModelShapeMismatch) as error:
                assert str(error)

    check()


def rewrite(path: Path, scratch: Path) -> None:
    from dms_operator.pipeline.pt2 import rewrite_safely

    rewrite_safely(path, scratch / "safe.pt2")


@PATIENT
@given(damages=DAMAGES)
def test_a_damaged_dataset_is_read_or_refused(damages: list[tuple[float, bytes]], good: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = damaged(good / "npz", damages, Path(scratch) / "data.npz")
        try:
            assert len(load_dataset(path, [FRAMES], LIMIT)) == 6
        except DatasetInvalid as error:
            assert str(error)
