"""The OSRT route: TI's ONNX Runtime provider imports the model while it runs the calibration samples."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from ...api.errors import ConversionFailed, UnsupportedOperators
from ...api.stages import Delegation
from ...api.target_options.tidl import IMPORT_TIMEOUT, TidlOptions, check_prequantized
from ..base import Arrays, Progress
from .artifacts import ALLOWED, METADATA, Offload, collect, read_offload
from .graph import QUANTIZATION, Graph
from .powers import check_scales
from .preflight import Preflight, Refused, check_model, refuse
from .process import TaskFailed, run_task
from .samples import check_samples, save_samples, zeros_for
from .surgery import lowered
from .tools import Tools, check_release

MODEL = "model.onnx"
_STEPS = 3


@dataclass(frozen=True)
class Imported:
    """Files by name, what runs on the C7x, and the model as TI's tools saw it."""

    files: dict[str, Path]
    delegation: Delegation
    subgraphs: int
    prequantized: bool


def compile_model(
    model: onnx.ModelProto,
    samples: Sequence[Arrays] | None,
    options: TidlOptions,
    tools: Tools,
    directory: Path,
    progress: Progress,
) -> Imported:
    """Compile into `directory`, which gets all files or none.

    A QDQ model brings its ranges; a float model needs `samples`. Raises UnsupportedOperators (unless the Arm cores
    are allowed), ConversionFailed, DatasetInvalid, InvalidSpec, ToolchainUnavailable, ConverterKilled, StoreFull.
    """
    check_release(tools, options)
    ready, preflight, prequantized = prepare(model, options)
    frames = [zeros_for(ready)] if prequantized else list(samples or ())
    check_samples(frames, ready)
    progress("convert", 1, _STEPS)
    with TemporaryDirectory(prefix="tidl-", dir=directory) as name:
        scratch = Path(name)
        onnx.save_model(ready, scratch / MODEL)
        log = _import(scratch, frames, options, tools, prequantized, progress)
        progress("convert", 2, _STEPS)
        offload = _offload(scratch / "artifacts", log)
        delegation = _checked(ready, preflight, offload, options)
        shutil.move(scratch / MODEL, scratch / "artifacts" / MODEL)
        files = collect(scratch / "artifacts", directory)
    return Imported(files, delegation, len(offload.parts), prequantized)


def prepare(model: onnx.ModelProto, options: TidlOptions) -> tuple[onnx.ModelProto, Preflight, bool]:
    """The model as TI's tools read it, the pre-flight, and whether it is QDQ.

    Raises UnsupportedOperators, ConversionFailed, InvalidSpec.
    """
    prequantized = any(node.op_type in QUANTIZATION for node in model.graph.node)
    if prequantized:
        check_prequantized(options)
        check_scales(model, options.soc)
    ready = lowered(model)
    preflight = check_model(ready)
    if len(preflight.refused) > options.cpu_share * preflight.nodes:
        raise refuse(preflight, options.soc, certain=False)
    return ready, preflight, prequantized


def _import(
    scratch: Path,
    frames: Sequence[Arrays],
    options: TidlOptions,
    tools: Tools,
    prequantized: bool,
    progress: Progress,
) -> list[str]:
    folder = scratch / "artifacts"  # TI's provider wants it to exist and to be empty
    folder.mkdir()
    save_samples(scratch / "samples.npz", frames)
    told: dict[str, Any] = options.for_provider(prequantized=prequantized)
    told |= {"tidl_tools_path": str(tools.directory), "artifacts_folder": str(folder)}
    # the import ends with the last calibration frame: fewer samples than it waits for would never complete it
    told["advanced_options:calibration_frames"] = str(len(frames))
    job = {
        "task": "compile",
        "model": str(scratch / MODEL),
        "samples": str(scratch / "samples.npz"),
        "options": told,
    }
    try:
        return run_task(job, tools.python, scratch, "calibrate", progress, float(options[IMPORT_TIMEOUT]))
    except TaskFailed as failure:
        why = failure.why().replace(str(scratch / MODEL), "the model")
        raise ConversionFailed(f"the TIDL import refused the model for {options.soc.title}; {why}") from failure


def _offload(folder: Path, log: list[str]) -> Offload:
    if not (folder / ALLOWED).is_file():
        last = " | ".join(log[-3:])[:300]
        raise ConversionFailed(f"the TIDL import reported success, but left no {ALLOWED}; {last}")
    metadata = folder / METADATA
    offload = read_offload((folder / ALLOWED).read_text(), metadata.read_text() if metadata.is_file() else "")
    if not offload.parts:
        raise UnsupportedOperators("TIDL takes no node of the model", hint="See the pre-flight table of docs/tda4vm.md")
    return offload


def _checked(model: onnx.ModelProto, preflight: Preflight, offload: Offload, options: TidlOptions) -> Delegation:
    """Count the compute nodes on the C7x; refuse what stays on the Arm cores unless that is allowed."""
    total = len(model.graph.node)
    seen = max([offload.nodes or total, *(number + 1 for number in offload.offloaded)])
    if seen != total:
        raise ConversionFailed(
            f"TI's provider saw {seen} nodes, the model has {total}: its report cannot be read",
            hint="Convert the model as exported, with no optimizer of ONNX Runtime's own",
        )
    predicted = {node.index: node.reason for node in preflight.refused}
    left = [
        Refused(node.index, node.name or node.output, node.op, predicted.get(node.index, "TI's tools left it"))
        for node in Graph(model).nodes
        if node.index not in offload.offloaded
    ]
    found = Preflight(preflight.nodes, tuple(left), len(offload.parts), preflight.fusions, preflight.warnings)
    if len(left) > options.cpu_share * found.nodes or (len(offload.parts) > 1 and not options.cpu_share):
        raise refuse(found, options.soc, certain=True)
    return found.delegation
