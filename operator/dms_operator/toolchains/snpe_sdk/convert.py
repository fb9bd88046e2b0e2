"""The conversion by either tool generation: which tools run in which order, and what each must have written."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...api.cpu_fallback import ALLOW_CPU_FALLBACK
from ...api.errors import ConversionFailed, UnsupportedOperators, WrongTarget
from ...api.stages import Delegation
from ...api.target_options.qnn import QnnOptions
from ..base import Progress
from ..qnn.binary import read_record
from . import argv
from .network import Network
from .outputs import DlcLayer, parse_dlc_info
from .run import run_tool
from .sdk import Generation, Sdk

DLC, BINARY, LAYERS = "model.dlc", "model.bin", "dlc_info.txt"
_EXTENSION, _HTP = "extension.json", "htp.json"
_SHOWN_NODES = 10


@dataclass
class Run:
    """One conversion in its scratch directory."""

    sdk: Sdk
    network: Network
    options: QnnOptions
    scratch: Path
    timeout_seconds: float
    progress: Progress
    steps: int
    done: int = field(default=0)

    def step(self, command: argv.Argv, *written: str) -> list[str]:
        """Run one tool, which must write these files."""
        self.progress("convert", self.done, self.steps)
        lines = run_tool(self.sdk, command, self.scratch, self.timeout_seconds)
        missing = [name for name in written if not self._holds(name)]
        if missing:
            raise ConversionFailed(f"{command[0]} reported success, but wrote no {', '.join(missing)}")
        self.done += 1
        return lines

    def _holds(self, name: str) -> bool:
        path = self.scratch / name
        return path.is_file() and path.stat().st_size > 0


def run_snpe(run: Run) -> tuple[list[str], Delegation]:
    """snpe-onnx-to-dlc, snpe-dlc-quant, snpe-dlc-graph-prepare, snpe-dlc-info; gives the artifact's file names.

    The prepared DLC's binding is not read back: its cache record has no documented form.
    """
    options = run.options
    run.step(argv.snpe_onnx_to_dlc(run.network.inputs, run.network.overrides), "float.dlc")
    source = "float.dlc"
    if run.network.overrides:
        source = "quantized.dlc"
        tool = run.sdk.present("snpe-dlc-quant")
        run.step(argv.snpe_dlc_quant(run.network.widths, None, tool=tool), source)
    prepared = argv.snpe_dlc_graph_prepare(
        source,
        options.soc.architecture,
        options.vtcm_mb,
        int(options.optimization),
        float_io=run.network.overrides is None,
    )
    run.step(prepared, DLC)
    lines = run.step(argv.snpe_dlc_info(DLC))
    (run.scratch / LAYERS).write_text("\n".join(lines) + "\n")
    return [DLC, LAYERS], _checked(parse_dlc_info(lines), options)


def run_qairt(run: Run) -> tuple[list[str], Delegation]:
    """qairt-converter, qairt-quantizer, qnn-context-binary-generator; gives the artifact's file names.

    The generator prepares the whole graph or fails. Raises WrongTarget when the binary is not bound to the SoC.
    """
    options, sdk = run.options, run.sdk
    run.step(argv.qairt_converter(run.network.inputs, run.network.overrides, options.soc.name), "float.dlc")
    source = run.scratch / "float.dlc"
    if run.network.overrides:
        run.step(argv.qairt_quantizer(run.network.widths, None), "quantized.dlc")
        source = run.scratch / "quantized.dlc"
    # the generator names the graph after the file, and the configuration names the graph
    source.rename(run.scratch / DLC)
    _write_configuration(run.scratch, options, sdk)
    libraries = str(sdk.library("libQnnHtp.so")), str(sdk.library("libQnnModelDlc.so"))
    run.step(argv.qnn_context_binary_generator(*libraries, DLC, _EXTENSION), BINARY)
    _check_binding(run.scratch / BINARY, options)
    return [DLC, BINARY], Delegation(npu=run.network.nodes, total=run.network.nodes)


PIPELINES: dict[Generation, Callable[[Run], tuple[list[str], Delegation]]] = {"qairt": run_qairt, "snpe": run_snpe}


def htp_configuration(options: QnnOptions, *, fp16: bool) -> dict[str, object]:
    """The HTP backend's configuration for the graph `model`."""
    graph = {"graph_names": ["model"], "vtcm_mb": options.vtcm_mb, "O": int(options.optimization)}
    precision = {"fp16_relaxed_precision": 1} if fp16 else {}
    cores = [{"perf_profile": options.performance_mode, "rpc_control_latency": 100}]
    device = {"soc_id": options.soc.model, "dsp_arch": f"v{options.soc.architecture}", "cores": cores}
    return {"graphs": [graph | precision], "devices": [device]}


def _write_configuration(directory: Path, options: QnnOptions, sdk: Sdk) -> None:
    extension = {
        "backend_extensions": {
            "shared_library_path": str(sdk.library("libQnnHtpNetRunExtensions.so")),
            "config_file_path": _HTP,
        }
    }
    (directory / _EXTENSION).write_text(json.dumps(extension))
    fp16 = not (directory / "encodings.json").is_file()
    (directory / _HTP).write_text(json.dumps(htp_configuration(options, fp16=fp16)))


def _check_binding(binary: Path, options: QnnOptions) -> None:
    record, soc = read_record(binary), options.soc
    if (record.soc_name, record.architecture) != (soc.name, soc.architecture):
        found = f"{record.soc_name} v{record.architecture}" if record.soc_name else "no SoC"
        raise WrongTarget(f"the SDK's context binary is bound to {found}, wanted {soc.title}")


def _checked(layers: list[DlcLayer], options: QnnOptions) -> Delegation:
    left = [layer for layer in layers if not layer.on_htp]
    types = Counter(layer.op_type for layer in left).most_common(_SHOWN_NODES)
    counts = [f"{op_type} x{count}" for op_type, count in types]
    if not layers:
        raise ConversionFailed("the prepared DLC holds no layer")
    if len(left) / len(layers) > options.allowed_cpu_share:
        named = ", ".join(f"{layer.name} ({layer.op_type})" for layer in left[:_SHOWN_NODES])
        raise UnsupportedOperators(
            f"{len(left)} of {len(layers)} layers cannot run on the {options.soc.title} HTP: {named}",
            hint=f'Replace them in the model, or accept a slow vehicle with the option {ALLOW_CPU_FALLBACK}: "true"',
        )
    return Delegation(npu=len(layers) - len(left), total=len(layers), left_on_cpu=counts)


def steps_of(generation: Generation, *, quantized: bool) -> int:
    """How many tools run."""
    return {"qairt": 2, "snpe": 3}[generation] + int(quantized)
