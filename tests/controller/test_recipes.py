"""Recipes: what changes a stage's output changes its digest, and nothing else does."""

from typing import Any

import pytest

from controller.builders import COCKPIT, world
from dms_operator.api.spec import QuantizationSpec
from dms_operator.controller.rungs import REFERENCE, Rung, rungs


def digests(*targets: dict[str, Any], **changes: Any) -> dict[str, str]:
    done = world(*targets, **changes).run()
    return {stage["name"]: stage["recipe"] for stage in done.status["stages"]}


def changed_stages(**changes: Any) -> list[str]:
    before, after = digests(), digests(**changes)
    return [name for name in before if before[name] != after.get(name)]


@pytest.mark.parametrize(
    "changes",
    [
        {"benchmark": {"latencyBudget": "49ms"}},
        {"benchmark": {"minProvenance": "estimated"}},
        {"quantization": {"maxAccuracyDrop": 0.02}},
        {"rollout": {"waves": [{"name": "fleet", "size": "100%"}]}},
        {"artifacts": {"uri": "file:///artifacts", "retain": 3}},
    ],
)
def test_limits_and_rollout_knobs_are_part_of_no_recipe(changes: dict[str, Any]) -> None:
    assert changed_stages(**changes) == []


def test_benchmark_settings_change_the_benchmark_alone() -> None:
    assert changed_stages(benchmark={"profile": "normal"}) == ["benchmark cockpit int8-qnn"]


def test_another_model_changes_everything() -> None:
    assert changed_stages(model={"uri": "file:///models/other.onnx"})[0] == "resolve"


def test_a_metric_without_labels_does_not_ask_for_them() -> None:
    recipes = [
        world(dataset={"uri": "file:///data/dms.npz", "metric": metric}).reconcile().create[0]
        for metric in ("top1", "cosine")
    ]
    texts = [job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] for job in recipes]
    assert ['"labelsRequired": true' in text for text in texts] == [True, False]


def test_targets_of_one_toolchain_share_their_variants() -> None:
    names = digests(COCKPIT, {"name": "second", "board": "sa8255"})
    assert [name for name in names if name.startswith("quantize")] == ["quantize fp32", "quantize int8-qnn"]
    assert [name for name in names if name.startswith("convert")] == [
        "convert cockpit int8-qnn",
        "convert second int8-qnn",
    ]


def test_two_targets_that_ask_for_the_same_share_all_stages() -> None:
    names = digests(COCKPIT, {"name": "twin", "board": "qcs8255"})
    assert not any("twin" in name for name in names)


def test_a_cpu_target_deploys_the_float_reference_itself() -> None:
    names = digests({"name": "lab", "board": "generic-x86", "precisions": ["fp32"]})
    assert list(names) == ["resolve", "quantize fp32", "convert lab fp32", "benchmark lab fp32"]


@pytest.mark.parametrize(
    ("precision", "asked", "expected"),
    [
        ("fp32", {}, [REFERENCE]),
        ("fp16", {}, [Rung("fp16", "cast")]),
        ("int8", {}, [Rung("int8", "static", each) for each in ("minmax", "percentile", "entropy", "mse")]),
        ("int4", {"calibration": "mse"}, [Rung("int4", "static", "mse")]),
        ("int8", {"method": "dynamic"}, [Rung("int8", "dynamic")]),
        ("int8", {"method": "qat"}, [Rung("int8", "qat")]),
    ],
)
def test_rungs_follow_method_and_calibration(precision: Any, asked: dict[str, Any], expected: list[Rung]) -> None:
    assert rungs(precision, QuantizationSpec.model_validate(asked), "qnn") == expected


def test_names_of_variants_are_unique() -> None:
    names = [
        rung.name(toolchain)
        for toolchain in ("qnn", "tidl")
        for precision in ("int4", "int8", "fp16")
        for method in ("auto", "qat", "dynamic")
        for rung in rungs(precision, QuantizationSpec(method=method), toolchain)  # type: ignore[arg-type]
        if not (precision == "fp16" and method != "auto")
    ]
    assert len(names) == len(set(names))
