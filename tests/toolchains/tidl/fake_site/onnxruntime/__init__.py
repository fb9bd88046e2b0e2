"""TI's onnxruntime as its documentation describes it, for contract tests; put on PYTHONPATH of a child process only.

Refuses what TI's provider refuses (unknown options, a folder that is not empty, a newer opset, values that the chip
cannot do) and writes the files that it documents, under the names and in the formats of TI edgeai-tidl-tools
docs/model_compilation.md and its ONNX provider. The variable FAKE_TIDL makes it misbehave.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # only what is used is loaded, as TI's runtime would
    import onnx
    from onnx.reference import ReferenceEvaluator

__version__ = "1.15.0"
_ADVANCED = "advanced_options:"
_COMPILE_OPTIONS: dict[str, set[str] | None] = {
    "tidl_tools_path": None,
    "artifacts_folder": None,
    "tensor_bits": {"8", "16", "32"},
    "accuracy_level": {"0", "1", "2", "9"},
    "debug_level": set("0123456"),
    "max_num_subgraphs": {str(number) for number in range(1, 17)},
    "deny_list": None,
    "deny_list:layer_type": None,
    "deny_list:layer_name": None,
    "allow_list:layer_name": None,
    "ti_internal_nc_flag": None,
    f"{_ADVANCED}calibration_frames": None,
    f"{_ADVANCED}calibration_iterations": None,
    f"{_ADVANCED}quantization_scale_type": {"0", "1", "3", "4"},
    f"{_ADVANCED}mixed_precision_factor": None,
    f"{_ADVANCED}output_feature_16bit_names_list": None,
    f"{_ADVANCED}params_16bit_names_list": None,
    f"{_ADVANCED}activation_clipping": {"0", "1"},
    f"{_ADVANCED}weight_clipping": {"0", "1"},
    f"{_ADVANCED}bias_calibration": {"0", "1"},
    f"{_ADVANCED}channel_wise_quantization": {"0", "1"},
    f"{_ADVANCED}prequantized_model": {"0", "1"},
    f"{_ADVANCED}high_resolution_optimization": {"0", "1"},
    f"{_ADVANCED}add_data_convert_ops": {"0", "1", "2", "3"},
    f"{_ADVANCED}max_num_subgraph_nodes": None,
    f"{_ADVANCED}inference_mode": {"0", "1", "2"},
    f"{_ADVANCED}num_cores": None,
    f"{_ADVANCED}core_number": None,
    f"{_ADVANCED}core_start_idx": None,
    f"{_ADVANCED}single_core_layers_names_list": None,
    f"{_ADVANCED}batch_mode": {"0", "1"},
    f"{_ADVANCED}partial_init_during_compile": {"0", "1"},
    f"{_ADVANCED}c7x_firmware_version": None,
}
_RUN_OPTIONS = {"tidl_tools_path", "artifacts_folder", "debug_level"}
_MODE = os.environ.get("FAKE_TIDL", "")


def get_available_providers() -> list[str]:
    if _MODE == "no-provider":
        return ["CPUExecutionProvider"]
    return ["TIDLCompilationProvider", "TIDLExecutionProvider", "CPUExecutionProvider"]


class GraphOptimizationLevel:
    ORT_DISABLE_ALL = 0
    ORT_ENABLE_ALL = 99


class SessionOptions:
    def __init__(self) -> None:
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.log_severity_level = 2


class InferenceSession:
    def __init__(
        self,
        path: str,
        sess_options: SessionOptions,
        providers: Sequence[str],
        provider_options: Sequence[dict[str, str]],
    ) -> None:
        import onnx

        self._model = onnx.load(path)
        _check_versions(self._model)
        assert providers[1:] == ["CPUExecutionProvider"] and provider_options[1:] == [{}]
        assert sess_options.graph_optimization_level == GraphOptimizationLevel.ORT_DISABLE_ALL
        self._provider, self._options, self._runs = providers[0], provider_options[0], 0
        self._folder = Path(self._options["artifacts_folder"])
        self._evaluator: ReferenceEvaluator | None = None
        if self._provider == "TIDLCompilationProvider":
            self._start_import()
        else:
            self._open_artifacts()

    def get_providers(self) -> list[str]:
        return [self._provider, "CPUExecutionProvider"]

    def get_outputs(self) -> list[onnx.ValueInfoProto]:
        return list(self._model.graph.output)

    def run(self, names: list[str] | None, inputs: dict[str, NDArray[Any]]) -> Any:
        self._check_inputs(inputs)
        self._runs += 1
        if self._provider == "TIDLCompilationProvider":
            self._import_frame()
            return [
                np.zeros([dim.dim_value for dim in out.type.tensor_type.shape.dim], np.float32)
                for out in self.get_outputs()
            ]
        from onnx.reference import ReferenceEvaluator

        self._evaluator = self._evaluator or ReferenceEvaluator(self._model)
        return self._evaluator.run(names, inputs)

    def get_TI_benchmark_data(self) -> dict[str, int]:
        assert os.environ.get("TIDL_RT_PERFSTATS") == "1"
        start, data = 1_000_000_000, {}
        for part in range(len(self._parts())):
            for step, begin, end in (("copy_in", 100, 300), ("proc", 300, 2300), ("copy_out", 2300, 2400)):
                data[f"ts:subgraph_subgraph_{part}_{step}_start"] = start + begin * 1000
                data[f"ts:subgraph_subgraph_{part}_{step}_end"] = start + end * 1000
        data |= {"ts:run_start": start, "ts:run_end": start + 2_500_000}
        return data | {"ddr:read_start": 0, "ddr:read_end": 3_000_000, "ddr:write_start": 0, "ddr:write_end": 500_000}

    def _check_inputs(self, inputs: dict[str, NDArray[Any]]) -> None:
        import onnx

        weights = {tensor.name for tensor in self._model.graph.initializer}
        for value in self._model.graph.input:
            if value.name in weights:
                continue
            shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            assert inputs[value.name].shape == shape, f"Got invalid dimensions for input: {value.name}"
            assert inputs[value.name].dtype == onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)

    def _start_import(self) -> None:
        _check_options(self._options)
        if any(self._folder.iterdir()):
            _fail("artifacts_folder is not empty")
        if _MODE == "refuse":
            print("ERROR : Unsupported layer configuration in conv2", file=sys.stderr, flush=True)
            _fail("status == true was false")
        _misbehave()
        parts = self._parts()
        lines = [len(parts), *(line for part in parts for line in (len(part), *part))]
        if _MODE != "no-allowed":
            (self._folder / "allowedNode.txt").write_text("".join(f"{line}\n" for line in lines))
        (self._folder / "onnxrtMetaData.txt").write_text(f"numGraphNodes={len(self._model.graph.node)}\n")
        (self._folder / "tempDir").mkdir()

    def _parts(self) -> list[list[int]]:
        unsupported = set(_MODE.removeprefix("unsupported:").split(",")) if _MODE.startswith("unsupported:") else set()
        denied = {name.strip() for name in self._options.get("deny_list:layer_type", "").split(",")} | unsupported
        parts: list[list[int]] = []
        current: list[int] = []
        for index, node in enumerate(self._model.graph.node):
            if node.op_type in denied:
                parts, current = [*parts, current] if current else parts, []
            else:
                current.append(index)
        return [*parts, current] if current else parts

    def _import_frame(self) -> None:
        if self._runs != int(self._options.get(f"{_ADVANCED}calibration_frames", "20")):
            return
        for number in range(len(self._parts())):
            name = f"subgraph_{number}"
            if _MODE == "part-missing" and number == len(self._parts()) - 1:
                continue
            (self._folder / f"{name}_tidl_net.bin").write_bytes(b"" if _MODE == "empty-net" else b"NET" * 100)
            (self._folder / f"{name}_tidl_io_1.bin").write_bytes(b"IO" * 50)
            temporary = self._folder / "tempDir"
            (temporary / f"{name}_tidl_net.bin.layer_info.txt").write_text("0 0 frames\n1 1 logits\n")
            (temporary / f"{name}_tidl_net.bin_netLog.txt").write_text("Total Giga Macs : 0.0021\n")
            if self._options.get("ti_internal_nc_flag") == "1601":
                (temporary / f"{name}_tidl_net.bin").mkdir()
                csv = "Layer,Cycles\n0,12\n,\nTotal Network Time (us) = 812.5,\nDDR BW (Mega Bytes) : Total = 2.76,\n"
                (temporary / f"{name}_tidl_net.bin" / f"{name}_tidl_net.csv").write_text(csv)
        (self._folder / "tempDir" / "runtimes_visualization.svg").write_text("<svg/>")

    def _open_artifacts(self) -> None:
        assert set(self._options) <= _RUN_OPTIONS, sorted(set(self._options) - _RUN_OPTIONS)
        for pattern in ("allowedNode.txt", "*_tidl_net.bin", "*_tidl_io_1.bin"):
            assert list(self._folder.glob(pattern)), f"{pattern} not found in {self._folder}"


def _check_versions(model: onnx.ModelProto) -> None:
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    if opset > 19:
        _fail(f"ONNX Runtime only guarantees support for models stamped with opset 19 or lower, got {opset}")
    if model.ir_version > 8:
        _fail(f"Unsupported model IR version: {model.ir_version}, max supported IR version: 8")


def _check_options(options: dict[str, str]) -> None:
    for name, value in options.items():
        if name not in _COMPILE_OPTIONS:
            _fail(f"ERROR : unsupported option {name}")
        allowed = _COMPILE_OPTIONS[name]
        if allowed is not None and value not in allowed:
            _fail(f"ERROR : unsupported value {value} of {name}")
    if os.environ.get("SOC", "am68pa") == "am68pa" and options.get(f"{_ADVANCED}quantization_scale_type") in ("3", "4"):
        _fail("asymmetric quantization is not supported on am68pa")
    if "allow_list:layer_name" in options and any(name.startswith("deny_list") for name in options):
        _fail("allow_list and deny_list cannot be enabled simultaneously")
    tools = Path(options["tidl_tools_path"])
    assert (tools / "tidl_model_import_onnx.so").is_file(), "tidl_model_import_onnx.so not found"


def _misbehave() -> None:
    if _MODE == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if _MODE == "crash":
        print("TIDL_subgraphImport: bad tensor", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if _MODE == "hang":
        time.sleep(600)
    if _MODE == "no-space":
        raise OSError(28, "No space left on device")


def _fail(message: str) -> NoReturn:
    raise RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : {message}")
