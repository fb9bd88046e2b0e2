"""Command lines of the SDK's tools, as pure functions. Flags: Qualcomm 80-63442-2 Rev BL (2025-06-11), page "Tools".

Paths are relative to the scratch directory in which the tools run, so that no blank, colon or umlaut of a user's path
reaches tools that split their arguments themselves. The seed's `--quantize_overwrite`, `--quantization_algorithm` and
`snpe-benchmark` do not exist; docs/qualcomm.md says what stands in their place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Argv = list[str]
"""Tool name, then its arguments."""

Shapes = Mapping[str, Sequence[int]]
"""Input name to static shape."""


@dataclass(frozen=True)
class Widths:
    """Bits of weights, activations and biases that the quantizer gives to tensors without override."""

    weights: int = 8
    activations: int = 8
    bias: int = 32


def snpe_onnx_to_dlc(shapes: Shapes, overrides: str | None) -> Argv:
    """ONNX to a float DLC. Layouts stay the model's own; without overrides the net becomes fp16."""
    return ["snpe-onnx-to-dlc", "--input_network", "model.onnx", *_snpe_conversion(shapes, overrides)]


def snpe_pytorch_to_dlc(shapes: Shapes, overrides: str | None) -> Argv:
    """TorchScript (a trace, not a state_dict) to a float DLC; the route through ONNX is the recommended one."""
    return ["snpe-pytorch-to-dlc", "--input_network", "model.pt", *_snpe_conversion(shapes, overrides)]


def _snpe_conversion(shapes: Shapes, overrides: str | None) -> Argv:
    dimensions = [part for name, shape in shapes.items() for part in ("--input_dim", name, _joined(shape))]
    precision = ["--quantization_overrides", overrides] if overrides else ["--float_bitwidth", "16"]
    return [*dimensions, "--output_path", "float.dlc", *precision, "--preserve_io", "layout"]


def snpe_dlc_quant(widths: Widths, input_list: str | None, *, tool: str = "snpe-dlc-quant") -> Argv:
    """Quantize by the overrides in the DLC; what has none is calibrated on the list, or stays float without one."""
    rest = [f"--input_list={input_list}"] if input_list else ["--float_fallback"]
    bits = [f"--weights_bitwidth={widths.weights}", f"--act_bitwidth={widths.activations}"]
    return [
        tool,
        "--input_dlc=float.dlc",
        "--output_dlc=quantized.dlc",
        "--override_params",
        *rest,
        *(bits if input_list else []),
        f"--bias_bitwidth={widths.bias}",
        "--use_per_channel_quantization",
    ]


def snpe_dlc_graph_prepare(source: str, architecture: int, vtcm_mb: int, optimization: int, *, float_io: bool) -> Argv:
    """Add the HTP's prepared graph to a DLC; by architecture, because the SoC names of this tool are phones'."""
    return [
        "snpe-dlc-graph-prepare",
        f"--input_dlc={source}",
        "--output_dlc=model.dlc",
        f"--htp_archs=v{architecture}",
        f"--vtcm_override={vtcm_mb}",
        f"--optimization_level={optimization}",
        *(["--use_float_io"] if float_io else []),
    ]


def snpe_dlc_info(dlc: str) -> Argv:
    """List a DLC's layers and the runtimes that take each."""
    return ["snpe-dlc-info", "-i", dlc]


def qairt_converter(shapes: Shapes, overrides: str | None, soc: str) -> Argv:
    """ONNX to a float DLC for the HTP of a SoC; without overrides the net becomes fp16."""
    dimensions = [
        part for name, shape in shapes.items() for part in ("--source_model_input_shape", name, _joined(shape))
    ]
    precision = ["--quantization_overrides", overrides] if overrides else ["--float_bitwidth", "16"]
    target = ["--target_backend", "HTP", "--target_soc_model", soc]
    return ["qairt-converter", "-i", "model.onnx", *dimensions, "-o", "float.dlc", *precision, *target]


def qairt_quantizer(widths: Widths, input_list: str | None) -> Argv:
    """Quantize by the overrides in the DLC; what has none is calibrated on the list, or stays float without one."""
    rest = ["-l", input_list] if input_list else ["--enable_float_fallback"]
    bits = ["--weights_bitwidth", str(widths.weights), "--act_bitwidth", str(widths.activations)]
    return [
        "qairt-quantizer",
        "-i",
        "float.dlc",
        "-o",
        "quantized.dlc",
        *rest,
        *(bits if input_list else []),
        "--bias_bitwidth",
        str(widths.bias),
        "--use_per_channel_quantization",
    ]


def qnn_context_binary_generator(backend: str, model_library: str, dlc: str, config: str) -> Argv:
    """Prepare a DLC into `model.bin`. Without the SoC in the config it would write a binary for no SoC, silently."""
    return [
        "qnn-context-binary-generator",
        "--backend",
        backend,
        "--model",
        model_library,
        "--dlc_path",
        dlc,
        "--binary_file",
        "model",
        "--output_dir",
        ".",
        "--config_file",
        config,
    ]


def snpe_net_run(dlc: str, input_list: str, performance: str) -> Argv:
    """Run samples of an input list on the board's HTP, with a detailed diagnostic log."""
    return [
        "snpe-net-run",
        "--container",
        dlc,
        "--input_list",
        input_list,
        "--output_dir",
        "output",
        "--use_dsp",
        "--perf_profile",
        performance,
        "--profiling_level",
        "detailed",
    ]


def snpe_throughput_net_run(dlc: str, seconds: int, performance: str) -> Argv:
    """Run a net on random input for some seconds on the board's HTP; throughput goes to standard output."""
    duration = ["--duration", str(seconds), "--use_dsp", "--perf_profile", performance]
    return ["snpe-throughput-net-run", "--container", dlc, *duration]


def snpe_diagview(log: str) -> Argv:
    """Turn a diagnostic log into `diagview.csv`."""
    return ["snpe-diagview", "--input_log", log, "--output", "diagview.csv"]


def qnn_net_run(backend: str, context: str, input_list: str, performance: str) -> Argv:
    """Run samples of an input list on a context binary; on x86 the backend is the functional simulator."""
    return [
        "qnn-net-run",
        "--backend",
        backend,
        "--retrieve_context",
        context,
        "--input_list",
        input_list,
        "--output_dir",
        "output",
        "--profiling_level",
        "basic",
        "--perf_profile",
        performance,
    ]


def qnn_profile_viewer(log: str) -> Argv:
    """Print a profiling log's statistics."""
    return ["qnn-profile-viewer", "--input_log", log]


def _joined(shape: Sequence[int]) -> str:
    return ",".join(map(str, shape))
