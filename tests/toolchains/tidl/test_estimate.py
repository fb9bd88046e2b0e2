"""`estimate-only`: figures without any TI tool, never mistaken for something that runs."""

import json
from pathlib import Path

import onnx
import pytest

from dms_operator.api.errors import ConversionFailed, ToolchainUnavailable, UnsupportedOperators
from dms_operator.api.spec import BenchmarkSpec
from dms_operator.api.stages import BenchmarkFacts
from dms_operator.controller.gates import provenance_gate
from dms_operator.toolchains.base import Compiled
from dms_operator.toolchains.tidl import Tidl
from model_fixtures import layernorm_net, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples
from toolchains.tidl.models import fixed_point, graph_of, node

ONLY = {"estimate-only": "true"}


def converted(model: Path, workdir: Path, **options: str) -> Compiled:
    return Tidl().convert(model, "tda4vm", ONLY | options, workdir, silent)


def test_without_the_option_missing_tools_stay_an_error(powers_qdq: Path, workdir: Path) -> None:
    with pytest.raises(ToolchainUnavailable, match=r'set TIDL_TOOLS_PATH.*estimate-only: "true"'):
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert not list(workdir.iterdir())


def test_an_estimate_says_that_it_is_one_wherever_it_is_read(powers_qdq: Path, workdir: Path) -> None:
    compiled = converted(powers_qdq, workdir)
    assert compiled.facts.tool_version == "estimate only, no TI tools ran" and compiled.facts.size_bytes == 0
    assert compiled.facts.deployable is False
    manifest = json.loads(compiled.files["manifest.json"].read_text())
    assert manifest["deployable"] is False
    assert json.loads(compiled.files["estimate.json"].read_text())["preflight"]["kind"] == "predicted"
    assert not [name for name in compiled.files if name.endswith(".bin")]


def test_a_board_never_loads_an_estimate(powers_qdq: Path, workdir: Path) -> None:
    converted(powers_qdq, workdir)
    with pytest.raises(ConversionFailed, match="nothing that a board could load"):
        Tidl().loading(workdir)


@pytest.mark.parametrize(
    ("minimum", "outcome"), [("measured", "Fail"), ("simulated", "Fail"), ("estimated", "Pass"), ("host", "Pass")]
)
def test_it_passes_the_provenance_gate_only_where_estimates_are_enough(
    powers_qdq: Path, workdir: Path, minimum: str, outcome: str
) -> None:
    converted(powers_qdq, workdir)
    cost = Tidl().cost(workdir)
    assert cost is not None
    wanted = BenchmarkSpec.model_validate({"minProvenance": minimum})
    assert provenance_gate(BenchmarkFacts(latencies=[cost]), "tidl", wanted).outcome == outcome


def test_the_predicted_outputs_are_no_simulation(powers_qdq: Path, workdir: Path) -> None:
    converted(powers_qdq, workdir)
    assert Tidl().simulate(workdir, samples(1), workdir, silent) is None
    predicted = Tidl().predict(workdir, samples(2), silent)
    assert predicted is not None and [output["logits"].shape for output in predicted] == [(1, 3), (1, 3)]


def test_predicted_refusals_stop_an_estimate_as_they_would_an_import(tmp_path: Path, workdir: Path) -> None:
    onnx.save(
        graph_of([node("Relu", ["x"], "a"), node("NonZero", ["a"], "y")], {"x": [2, 3]}, ["y"]), tmp_path / "m.onnx"
    )
    with pytest.raises(UnsupportedOperators, match="NonZero: no TIDL layer"):
        converted(tmp_path / "m.onnx", workdir)
    assert not list(workdir.iterdir())
    compiled = converted(tmp_path / "m.onnx", workdir, **{"allow-cpu-fallback": "true"})
    assert compiled.facts.delegation.left_on_cpu == ["NonZero x1"]
    assert compiled.facts.delegation.npu < compiled.facts.delegation.total
    cost = Tidl().cost(workdir)
    assert cost is not None and cost.bound is None


def test_sixteen_bits_are_estimated_slower(tmp_path: Path, workdir: Path) -> None:
    model, wide = tiny_classifier(tmp_path / "m.onnx"), workdir / "wide"
    wide.mkdir()
    converted(model, workdir)
    converted(model, wide, **{"tensor-bits": "16"})
    narrow, slow = Tidl().cost(workdir), Tidl().cost(wide)
    assert narrow and slow and slow.p50.value >= narrow.p50.value


def test_a_transformer_s_layer_norm_is_estimated_too(tmp_path: Path, workdir: Path) -> None:
    model = fixed_point(layernorm_net(tmp_path / "f.onnx"), tmp_path / "m.onnx")
    facts = converted(model, workdir).facts
    assert facts.delegation.npu == facts.delegation.total == 8


def test_a_damaged_estimate_is_refused(powers_qdq: Path, workdir: Path) -> None:
    converted(powers_qdq, workdir)
    (workdir / "estimate.json").write_text("{}")
    with pytest.raises(ConversionFailed, match=r"no readable estimate.json"):
        Tidl().cost(workdir)


def test_a_float_model_has_no_fixed_point_to_predict(tmp_path: Path, workdir: Path) -> None:
    converted(tiny_classifier(tmp_path / "m.onnx"), workdir)
    with pytest.raises(ConversionFailed, match="the model is float"):
        Tidl().predict(workdir, samples(1), silent)
