"""What the CRD admits and what the operator accepts must be the same, for every board, toolchain and precision."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.capabilities import BOARDS, PRECISIONS, TOOLCHAINS
from dms_operator.api.confidence import fewest_samples
from dms_operator.api.crd import custom_resource_definition, spec_schema
from dms_operator.api.errors import InvalidSpec
from dms_operator.api.resource import parse_spec
from dms_operator.devcluster.schema.cel import validate_rules
from dms_operator.devcluster.schema.crd import check_definition
from dms_operator.devcluster.schema.defaulting import apply_defaults
from dms_operator.devcluster.schema.prune import prune
from dms_operator.devcluster.schema.validate import validate

SCHEMA = spec_schema()
MINIMAL: dict[str, Any] = {
    "model": {"uri": "file:///models/net.pt2"},
    "dataset": {"uri": "file:///data/val.npz"},
    "targets": [{"name": "cockpit", "board": "qcs8255"}],
    "artifacts": {"uri": "file:///artifacts"},
}


ALL = {"name": "all", "size": "100%"}
NO_PROVENANCE = {"name": "entry", "board": "tda4vm", "options": {"estimate-only": "true"}}

ESTIMATE = {**NO_PROVENANCE, "minProvenance": "estimated"}


def gated(metric: str, value: float, op: str = "<=") -> dict[str, Any]:
    """A rollout with one live gate."""
    return {"rollout": {"waves": [ALL], "gates": [{"metric": metric, "value": value, "op": op}]}}


def admission_problems(spec: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    _, unknown = prune(SCHEMA, spec, resource=False)
    defaulted = apply_defaults(SCHEMA, spec)
    old = apply_defaults(SCHEMA, old) if old else None
    errors = validate(SCHEMA, defaulted, "spec") or validate_rules(SCHEMA, defaulted, old)
    return [*unknown, *(f"{error.field}: {error.message}" for error in errors)]


def operator_accepts(spec: dict[str, Any]) -> bool:
    try:
        parse_spec({"spec": apply_defaults(SCHEMA, spec)})
    except InvalidSpec:
        return False
    return True


precisions = st.lists(st.sampled_from(PRECISIONS), min_size=1, max_size=4, unique=True)
targets = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b", "c"]), "board": st.sampled_from(sorted(BOARDS))},
        optional={
            "toolchain": st.sampled_from(sorted(TOOLCHAINS)),
            "precisions": precisions,
            "options": st.fixed_dictionaries(
                {}, optional={"allow-cpu-fallback": st.from_regex(r"true|[0-9]{1,3}[.]?[0-9]?%?", fullmatch=True)}
            ),
        },
    ),
    min_size=1,
    max_size=3,
)
quantizations = st.fixed_dictionaries(
    {},
    optional={
        "precisions": precisions,
        "method": st.sampled_from(["auto", "dynamic", "static", "qat"]),
        "static": st.fixed_dictionaries(
            {}, optional={"activationBits": st.sampled_from([4, 8]), "equalize": st.booleans()}
        ),
    },
)
limits = st.one_of(st.sampled_from(["10%", "0%", "10", "1.5%", "-1%"]), st.integers(0, 100))
drops = st.sampled_from([0, 0.0, 1e-4, 0.01, 1, 1.01, -0.1])
waves = st.lists(st.sampled_from(["1", "2", "10", "5%", "10%", "100%"]), min_size=1, max_size=20)
budgets = st.one_of(
    st.sampled_from(["50ms", "1.5s", "50", "50 ms", "-1ms", "0ms", "0.00s", "0.001ms"]), st.integers(0, 100)
)


@given(targets, quantizations, budgets, limits, drops, st.sampled_from(["top1", "mae"]))
def test_admission_and_operator_agree_on_every_spec(
    targets: list[dict[str, Any]], quantization: dict[str, Any], budget: Any, limit: Any, drop: float, metric: str
) -> None:
    benchmark = {"latencyBudget": budget, "regression": {"latency": limit}, "endToEnd": {}}
    quantization = quantization | {"maxAccuracyDrop": drop}
    spec = MINIMAL | {"targets": targets, "quantization": quantization, "benchmark": benchmark}
    spec |= {"dataset": MINIMAL["dataset"] | {"metric": metric}}
    assert operator_accepts(spec) == (admission_problems(spec) == []), admission_problems(spec)


@given(waves)
def test_admission_and_operator_agree_on_every_course_of_waves(sizes: list[str]) -> None:
    problems = admission_problems(rolled_out_in(*sizes))
    assert operator_accepts(rolled_out_in(*sizes)) == (problems == []), problems
    assert (problems == []) == all(
        of_unit == sorted(of_unit)
        for of_unit in (
            [int(size.strip("%")) for size in sizes if ("%" in size) == is_share] for is_share in (True, False)
        )
    )


def rolled_out_in(*sizes: str) -> dict[str, Any]:
    steps = [{"name": f"wave-{number}", "size": size} for number, size in enumerate(sizes)]
    return MINIMAL | {"rollout": {"waves": steps}}


def test_a_wave_that_is_smaller_than_one_before_it_is_refused_by_its_name() -> None:
    sizes = ("50%", "3", "10%", "100%")
    told = admission_problems(rolled_out_in(*sizes))
    assert told == [
        "rollout.waves: Invalid value: a wave is smaller than one before it: "
        "sizes are cumulative, so make it larger or move it to the front"
    ]
    with pytest.raises(
        InvalidSpec, match=r"wave 'wave-2' \(10%\) is smaller than 'wave-0' \(50%\) before it: sizes are"
    ):
        parse_spec({"spec": apply_defaults(SCHEMA, rolled_out_in(*sizes))})


def test_the_crd_itself_is_accepted() -> None:
    assert check_definition(custom_resource_definition()) == []


def test_a_minimal_spec_is_admitted() -> None:
    assert admission_problems(MINIMAL) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": [{"name": "a", "board": "tda4vm", "precisions": ["int4"]}]}, "(in targets[].precisions, where"),
        ({"targets": [{"name": "a", "board": "jetson"}]}, "Unsupported value"),
        ({"targets": [{"name": "a", "board": "qcs8255"}, {"name": "a", "board": "tda4vm"}]}, "Duplicate value"),
        ({"targets": [{"name": "a", "board": "tda4vm", "toolchain": "qnn"}]}, "use one of tidl, onnxruntime"),
        ({"targets": []}, "at least 1 item"),
        (
            {"targets": [{"name": "a", "board": "tda4vm", "options": {"allow-cpu-fallback": "some"}}]},
            "needs true, false, or a share of the nodes such as 5%",
        ),
        ({"benchmark": {"latencyBudget": 50}}, "needs a number with a unit (ns, us, ms, s, m, h), such as 50ms"),
        ({"benchmark": {"powerBudget": "800"}}, "needs a number with a unit (uW, mW, W), such as 800mW"),
        ({"quantization": {"method": "dynamic"}}, "use method auto, static or qat, or toolchain onnxruntime"),
        ({"quantization": {"maxAccuracyDrop": 1.5}}, "a drop of 1 is all that there is of top1"),
        ({"quantization": {"maxAccuracyDrop": 0}}, "a drop of 0 cannot be proven by any number of samples"),
        ({"benchmark": {"memoryBudget": "64"}}, "needs a number with a unit (Ki, Mi, Gi), such as 64Mi"),
        ({"benchmark": {"regression": {"latency": 10}}}, "needs a number with a unit (%), such as 10%"),
        ({"benchmark": {"endToEnd": {"width": 1}}}, "greater than or equal to 16"),
        ({"benchmark": {"endToEnd": {"std": [0]}}}, "greater than 0"),
        ({"model": {"uri": "ftp://x/y"}}, "needs an address with its scheme: file:///path"),
        ({"model": {"uri": "/models/net.onnx"}}, "needs an address with its scheme: file:///path"),
        ({"model": {"uri": "oci://registry/net:1"}}, "https://, s3:// or gs://"),
        ({"artifacts": {"uri": "https://host/store"}}, "needs an address that can be written to: file:///path"),
        ({"model": {"uri": "file:///m", "sha256": "sha256:abc"}}, "needs the 64 lower-case hex digits"),
        ({"targets": [{"name": "Cockpit_1", "board": "qcs8255"}]}, "needs at most 40 lower-case letters"),
        ({"rollout": {"waves": [{"name": "a", "size": "half"}]}}, "such as '2', or a share such as '5%'"),
        (
            {"rollout": {"waves": [{"name": "a", "size": "2"}], "window": {"start": "1:00", "end": "05:00"}}},
            "needs a time of day as HH:MM",
        ),
        ({"dataset": {"uri": "file:///d", "calibrationSamples": 0}}, "greater than or equal to 1"),
        ({"typo": 1}, "typo"),
    ],
)
def test_admission_says_what_to_change(change: dict[str, Any], message: str) -> None:
    assert message in " | ".join(admission_problems(MINIMAL | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": {"latencyBudget": "0ms"}}, "0 can never be kept: write the time that the driver has"),
        ({"benchmark": {"powerBudget": "0.00W"}}, "0 can never be kept: leave powerBudget out"),
        ({"benchmark": {"memoryBudget": "0Mi"}}, "0 can never be kept: leave memoryBudget out"),
        ({"rollout": {"waves": [ALL], "progressDeadline": "0s"}}, "0 can never be kept: write how long a vehicle may"),
        (
            {"rollout": {"waves": [ALL], "gates": [{"metric": "p99LatencyMs", "value": 33, "interval": "0s"}]}},
            "0 can never be kept: write how often the metric is read",
        ),
        ({"targets": [ESTIMATE], "rollout": {"waves": [ALL]}}, "no vehicle can load an estimate"),
        ({"targets": [{**ESTIMATE, "minProvenance": "measured"}]}, "what option estimate-only gives is estimated"),
        ({"targets": [NO_PROVENANCE]}, "what option estimate-only gives is estimated"),
        ({"targets": [ESTIMATE], "benchmark": {"powerBudget": "1W"}}, "estimate-only proves neither power nor memory"),
        (
            {"targets": [ESTIMATE], "benchmark": {"memoryBudget": "1Gi"}},
            "estimate-only proves neither power nor memory",
        ),
        ({"dataset": {"uri": "file:///d", "evaluationSamples": 298}}, "0.01 takes 299, 0.02 takes 149"),
        (
            {"dataset": {"uri": "file:///d", "evaluationSamples": 19, "metric": "cosine"}},
            "mae and cosine take at least 20 dataset.evaluationSamples",
        ),
        (
            {"model": {"uri": "file:///m", "format": "onnx"}, "quantization": {"method": "qat"}},
            "method qat trains the PyTorch program: give the .pt2 file",
        ),
        ({"model": {"uri": "file:///m", "format": "torchscript"}}, "a TorchScript file does not tell the shapes"),
        (
            {"model": {"uri": "s3://m/net.onnx"}, "quantization": {"method": "qat"}},
            "method qat trains the PyTorch program: give the .pt2 file",
        ),
        (gated("p99LatencyMs", 0), "no latency is 0 or less: write milliseconds, such as 33"),
        (gated("p99LatencyMs", -3.5, ">="), "no latency is 0 or less"),
        (gated("errorRate", -1), "errorRate is a share of all inferences, from 0 to 1: write 0.01 for one percent"),
        (gated("errorRate", 5), "errorRate is a share of all inferences, from 0 to 1"),
        (gated("temperatureCelsius", -300), "nothing is so cold: write degrees Celsius, such as 85"),
        (
            {"model": {"uri": "file:///m", "secretRef": {"name": "My_Keys"}}},
            "needs the name of an object in the cluster: lower-case letters, digits, dashes and dots",
        ),
        ({"model": {"uri": "file:///m", "secretRef": {"name": "a..b"}}}, "needs the name of an object in the cluster"),
        ({"benchmark": {"priorityClassName": "Fast"}}, "needs the name of an object in the cluster"),
    ],
)
def test_what_can_never_come_true_is_refused_by_admission_and_by_the_operator(
    change: dict[str, Any], message: str
) -> None:
    assert message in " | ".join(admission_problems(MINIMAL | change))
    with pytest.raises(InvalidSpec, match=re.escape(message)):
        parse_spec({"spec": apply_defaults(SCHEMA, MINIMAL | change)})


@pytest.mark.parametrize(
    "change",
    [
        {"targets": [ESTIMATE]},
        {"targets": [NO_PROVENANCE], "benchmark": {"minProvenance": "estimated"}},
        {"targets": [{**NO_PROVENANCE, "options": {"estimate-only": "false"}}], "rollout": {"waves": [ALL]}},
        {"dataset": {"uri": "file:///d", "evaluationSamples": 299}},
        {"dataset": {"uri": "file:///d", "evaluationSamples": 20, "metric": "mae"}},
        {
            "dataset": {"uri": "file:///d", "evaluationSamples": 1},
            "targets": [{"name": "lab", "board": "generic-x86", "precisions": ["fp32"]}],
        },
        {"dataset": {"uri": "file:///d", "evaluationSamples": 29}, "quantization": {"maxAccuracyDrop": 0.1}},
        {"model": {"uri": "file:///m", "format": "onnx"}, "quantization": {"method": "static"}},
        {"model": {"uri": "file:///m/net.onnx", "format": "pt2"}, "quantization": {"method": "qat"}},
        {"model": {"uri": "file:///m/net.onnx"}},
        {"model": {"uri": "file:///m", "secretRef": {"name": "model-store.v2"}}},
        gated("p99LatencyMs", 0.5),
        gated("errorRate", 0),
        gated("errorRate", 1),
        gated("temperatureCelsius", -40, ">="),
    ],
)
def test_what_can_come_true_is_admitted(change: dict[str, Any]) -> None:
    assert admission_problems(MINIMAL | change) == []
    assert operator_accepts(MINIMAL | change)


@given(st.floats(1e-6, 1, exclude_max=True), st.integers(1, 1_000_000))
def test_no_number_of_samples_that_could_prove_a_drop_is_refused(drop: float, count: int) -> None:
    spec = MINIMAL | {"quantization": {"maxAccuracyDrop": drop}}
    spec |= {"dataset": {"uri": "file:///d", "evaluationSamples": count}}
    assert operator_accepts(spec) == (count >= fewest_samples(drop))
    if admission_problems(spec):
        assert not operator_accepts(spec)


@pytest.mark.parametrize("budget", ["0.1ms", "10us", "100s", "1.0ms"])
def test_a_small_budget_is_one_and_no_zero(budget: str) -> None:
    assert admission_problems(MINIMAL | {"benchmark": {"latencyBudget": budget}}) == []


def test_a_drop_in_the_unit_of_its_labels_may_be_more_than_one() -> None:
    pixels = {"dataset": {"uri": "file:///d", "metric": "mae"}, "quantization": {"maxAccuracyDrop": 1.5}}
    assert admission_problems(MINIMAL | pixels) == []
    assert operator_accepts(MINIMAL | pixels)


def test_the_artifact_store_cannot_be_moved() -> None:
    moved = MINIMAL | {"artifacts": {"uri": "file:///elsewhere"}}
    problems = admission_problems(moved, old=MINIMAL)
    assert problems == ["spec: artifacts.uri cannot be changed: create a new deployment for another store"] or any(
        "artifacts.uri cannot be changed" in problem for problem in problems
    )
