"""Variants for TDA4VM are in TIDL's own arithmetic, and every rung of the ladder converts and is priced."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import model_fixtures
from dms_operator.api.stages import StageResult
from dms_operator.pipeline.encodings import read_encodings
from dms_operator.pipeline.session import cpu_session, run_once
from dms_operator.toolchains.tidl import Tidl
from dms_operator.toolchains.tidl.powers import scale_problems
from dms_operator.toolchains.tidl.samples import CALIBRATION_FILE, load_samples
from dms_operator.toolchains.tidl.wide import FLOAT_FILE, wide_outputs
from pipeline.stages import Stages, refused, succeeded, variant_of

BETTER = {"equalize": True, "correct_bias": True}
RUNGS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "minmax": ("minmax", None),
    "percentile": ("percentile", None),
    "entropy": ("entropy", None),
    "mse": ("mse", None),
    "equalized": ("minmax", BETTER),
    "mixed": ("minmax", BETTER | {"mixed": True, "max_accuracy_drop": -1.0}),
    "a16": ("minmax", BETTER | {"activation_bits": 16}),
}


class Ladder:
    """A resolved net and its reference; makes variants for toolchain tidl."""

    def __init__(self, stages: Stages, model: Path) -> None:
        self.stages = stages
        dataset = model_fixtures.tiny_dataset(stages.root / "data.npz", 160)
        resolved = succeeded(stages.resolve(model, dataset)).artifact
        assert resolved is not None
        reference = succeeded(stages.quantize(resolved.digest)).artifact
        assert reference is not None
        self._resolved, self._reference = resolved.digest, reference.digest

    def result(
        self, calibration: str = "minmax", static: dict[str, Any] | None = None, metric: str = "top1"
    ) -> StageResult:
        return self.stages.quantize(
            self._resolved,
            reference=self._reference,
            precision="int8",
            method="static",
            toolchain="tidl",
            calibration=calibration,
            static=static,
            metric=metric,
        )

    def files(self, calibration: str = "minmax", static: dict[str, Any] | None = None) -> dict[str, Path]:
        return self.stages.files(succeeded(self.result(calibration, static)))


@pytest.fixture
def ladder(stages: Stages) -> Ladder:
    return Ladder(stages, model_fixtures.layernorm_net(stages.root / "net.onnx"))


@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_has_scales_that_tda4vm_takes_and_converts_to_an_estimate(
    rung: str, ladder: Ladder, tmp_path: Path
) -> None:
    result = ladder.result(*RUNGS[rung])
    assert variant_of(result).accuracy_drop <= 0.02
    model = ladder.stages.files(result)["model.onnx"]
    assert scale_problems(onnx.load(model)) == {}
    compiled = Tidl().convert(model, "tda4vm", {"estimate-only": "true"}, tmp_path, lambda *_: None)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total > 0
    cost = Tidl().cost(tmp_path)
    # no published figure checks 16-bit layers: they have no upper bound, and pass no latency gate
    assert cost is not None and (cost.bound is None) == (rung in ("mixed", "a16"))


@pytest.mark.parametrize(
    ("rung", "scheme"),
    [("minmax", "w8a8 power-of-two per-tensor"), ("a16", "w16a16 power-of-two per-tensor")],
)
def test_the_scheme_is_named(rung: str, scheme: str, ladder: Ladder) -> None:
    assert variant_of(ladder.result(*RUNGS[rung])).scheme == scheme


def test_an_activation_that_is_never_negative_has_no_sign(ladder: Ladder) -> None:
    found = read_encodings(onnx.load(ladder.files()["model.onnx"])).activations
    assert {each.signed for each in found.values()} == {True, False}


def test_16_bit_layers_come_with_what_tis_tools_need_to_calibrate_them(ladder: Ladder) -> None:
    files = ladder.files(*RUNGS["mixed"])
    wide = wide_outputs(onnx.load(files["model.onnx"]))
    assert wide and len(wide) < len(read_encodings(onnx.load(files["model.onnx"])).activations)
    float_model = onnx.load(files[FLOAT_FILE])
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in float_model.graph.node}
    samples = load_samples(files[CALIBRATION_FILE], 20)
    assert samples is not None and len(samples) == 20
    [value] = float_model.graph.input
    assert samples[0][value.name].shape == tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def test_8_bit_variants_carry_no_samples(ladder: Ladder) -> None:
    assert set(ladder.files()) == {"model.onnx", "reference.npz", "encodings.json"}


def test_a_mixture_widens_only_layers_that_tidl_lets_differ_from_their_neighbours(ladder: Ladder) -> None:
    model = onnx.load(ladder.files(*RUNGS["mixed"])["model.onnx"])
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    assert {makers.get(name) for name in wide_outputs(model)} == {"Relu", "GlobalAveragePool", "Gemm"}  # not the norm


@pytest.mark.parametrize(
    ("static", "message"),
    [
        ({"symmetric_activations": False}, "scales are powers of two, one for a tensor, symmetric"),
        ({"per_channel": True}, "scales are powers of two, one for a tensor, symmetric"),
        ({"rounding": "learned"}, "not learned: leave out"),
        ({"mixed": True, "activation_bits": 16}, "mixed has nothing left to widen"),
    ],
)
def test_what_tda4vm_cannot_run_is_refused(static: dict[str, Any], message: str, ladder: Ladder) -> None:
    assert message in refused(ladder.result(static=static), "QuantizationFailed")


@pytest.mark.parametrize("rung", RUNGS)
def test_the_same_samples_give_the_same_bytes(rung: str, ladder: Ladder) -> None:
    results = [ladder.result(*RUNGS[rung], metric=metric) for metric in ("top1", "macroF1")]
    assert not succeeded(results[1]).cached, "the second was made, too"
    first, second = (ladder.stages.files(result)["model.onnx"].read_bytes() for result in results)
    assert first == second


def test_16_bit_layers_agree_closer_with_the_float_model(ladder: Ladder) -> None:
    errors = {}
    for rung in ("equalized", "a16"):
        files = ladder.files(*RUNGS[rung])
        samples = load_samples(ladder.files(*RUNGS["a16"])[CALIBRATION_FILE], 8)
        assert samples is not None
        exact = _outputs(ladder.files(*RUNGS["a16"])[FLOAT_FILE], samples)
        errors[rung] = float(np.abs(_outputs(files["model.onnx"], samples) - exact).mean())
    assert errors["a16"] < errors["equalized"] / 20


def _outputs(model: Path, samples: list[dict[str, Any]]) -> Any:
    session = cpu_session(model)
    return np.stack([run_once(session, sample)[0] for sample in samples])
