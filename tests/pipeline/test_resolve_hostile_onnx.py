"""Small ONNX files that ask for much: each ends in one terminal message, and nothing else is opened."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dms_operator.api.stages import TIME_LIMIT_VARIABLE
from dms_operator.pipeline.machine import age_seconds
from dms_operator.pipeline.pod_limits import MEMORY_VARIABLE, resident_bytes
from model_fixtures import hostile_onnx
from pipeline.stages import Stages, Writer, refused

Bomb = Callable[[Path], Path]
READERS_MEMORY = 1 << 30
"""Enough to read any good model of these tests."""


@pytest.fixture
def small_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, str(resident_bytes() + READERS_MEMORY))


@pytest.mark.parametrize("location", ["../../../../../../etc/passwd", "/etc/passwd", "link", "file:///etc/passwd"])
def test_a_weight_in_another_file_is_refused_wherever_it_points(location: str, stages: Stages) -> None:
    (stages.root / "link").symlink_to("/etc/passwd")
    model = hostile_onnx.keeping_a_weight_in(stages.root / "net.onnx", location)
    message = refused(stages.resolve(model), "ModelInvalid")
    assert "keeps w in another file. Save it as one file" in message


@pytest.mark.usefixtures("small_pod")
@pytest.mark.parametrize(
    "bomb",
    [
        lambda path: hostile_onnx.taking(path, 10**6, 10**6, 10**6),
        lambda path: hostile_onnx.taking(path, 1000, 1000, 1000),
        lambda path: hostile_onnx.expanding(path, 10**6, 10**6),
        lambda path: hostile_onnx.expanding(path, 10**9),
        lambda path: hostile_onnx.padding(path, 2**60),
        lambda path: hostile_onnx.with_empty_nodes(path, 30 << 20),
    ],
    ids=["exabytes-in", "gigabytes-in", "terabytes-inside", "gigabytes-inside", "padded", "nodes-of-two-bytes"],
)
def test_a_model_that_takes_more_memory_than_the_pod_has_says_what_to_change(bomb: Bomb, stages: Stages) -> None:
    message = refused(stages.resolve(bomb(stages.root / "net.onnx")), "ModelInvalid")
    assert "takes more memory than the" in message
    assert "resources.resolve.limits.memory" in message


def test_a_model_that_never_ends_is_ended(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIME_LIMIT_VARIABLE, str((age_seconds() + 10) / 0.9))
    message = refused(stages.resolve(hostile_onnx.looping(stages.root / "net.onnx")), "ModelInvalid")
    assert "did not end within" in message
    assert "deadlines.resolve" in message


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (hostile_onnx.with_functions_of_functions, "has 1000000000 nodes"),
        (hostile_onnx.with_nan_attribute, "alpha of a node LeakyRelu is NaN"),
        (hostile_onnx.with_a_cycle, "not valid"),
        (hostile_onnx.with_foreign_operator, "bomb:Anything"),
        (lambda path: hostile_onnx.nested(path, 5000), "damaged"),
        (lambda path: hostile_onnx.named(path, "\x1b[2Jgone\nERROR"), "control characters in its name"),
        (lambda path: hostile_onnx.named(path, "n" * 10**6), "beyond what a spec can say"),
    ],
    ids=["functions", "nan-attribute", "cycle", "foreign-operator", "nested", "control-characters", "long-name"],
)
def test_a_file_that_is_no_model_of_ours_says_why(write: Writer, says: str, stages: Stages) -> None:
    message = refused(stages.resolve(write(stages.root / "net.onnx")), "ModelInvalid")
    assert says in message
    assert message.isprintable()
