"""Compiles a model into a context binary and a DLC for one SoC, and refuses what would not run on the NPU whole."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx

from ...api.errors import ConversionFailed, DMSError, InvalidSpec
from ...api.target_options.qnn import QnnOptions
from ..base import Progress
from ..onnx_graph import read_graph
from .child import CONTEXT_BINARY, CONTEXT_MODEL, PROFILE, PROFILE_LOG, Job
from .delegation import (
    QUANTIZATION,
    Node,
    Split,
    compute_nodes,
    delegation_of,
    nothing_supported,
    refused_nodes,
    split_of,
    unsupported,
)
from .dlc import collect_dlcs
from .placement import OP_TRACE, OpTrace, Placement, placements, read_op_trace
from .process import ToolFailed, run_task

_STEPS = 3
_SHOWN_NODES = 10


@dataclass(frozen=True)
class CompiledModel:
    """The files of the artifact, how the graph was split, and what stays in the scratch directory."""

    files: dict[str, Path]
    split: Split
    placements: list[Placement]
    scratch: Path
    """Holds the op trace and the profiling log, which do not belong to the artifact."""


def compile_model(model: Path, options: QnnOptions, directory: Path, progress: Progress) -> CompiledModel:
    """Write context model, context binary, profile and DLC into a directory.

    Raises UnsupportedOperators (unless so much CPU fallback is allowed), InvalidSpec (batch, fp16),
    ConversionFailed with the tool's own words, ConverterKilled.
    """
    graph = read_graph(model)
    _check_graph(graph, options)
    progress("convert", 0, _STEPS)
    job = soc_job(options, model) | {"optimization": options.optimization}
    scratch = _fresh(directory / "context")
    files = _context(job, scratch, directory, graph, options)
    split, trace = split_of(read_graph(files[CONTEXT_MODEL])), read_op_trace(scratch / OP_TRACE)
    _check_split(split, graph, options, trace)
    progress("convert", 1, _STEPS)
    files |= _dlc(job, directory, graph, options)
    progress("convert", 2, _STEPS)
    return CompiledModel(files, split, placements(graph, trace, (node.name for node in split.left)), scratch)


def soc_job(options: QnnOptions, model: Path) -> Job:
    """The part of a child's job that every task needs."""
    return {
        "model": str(model.resolve()),
        "soc_model": options.soc.model,
        "architecture": options.soc.architecture,
        "vtcm_mb": options.vtcm_mb,
        "allow_cpu": options.allow_cpu,
        "io_on_cpu": options.io_on_cpu,
        "timeout_seconds": options.timeout_seconds,
    }


def _check_graph(graph: onnx.ModelProto, options: QnnOptions) -> None:
    soc = options.soc
    if not soc.fp16 and not any(node.op_type in QUANTIZATION for node in graph.graph.node):
        raise InvalidSpec(f"the HTP of {soc.title} computes integers only", hint="Use precision int8 for this board")
    batches = {value.type.tensor_type.shape.dim[0].dim_value for value in graph.graph.input if _dims(value)}
    if options.batch is not None and batches - {options.batch}:
        found = ", ".join(str(batch) for batch in sorted(batches))
        raise InvalidSpec(
            f"option batch is {options.batch}, but the exported model has batch {found}",
            hint="The batch is fixed at export: write it into spec.model.inputs[].shape",
        )


def _check_split(split: Split, graph: onnx.ModelProto, options: QnnOptions, trace: OpTrace) -> None:
    delegation = delegation_of(graph, split)
    share = 1 - delegation.npu / delegation.total if delegation.total else 1.0
    accepted = split.whole or 0 < share <= options.allowed_cpu_share
    if split.partitions == 0 or not accepted:
        rows = placements(graph, trace, (node.name for node in split.left))
        details = [f"{row.node}: {row.reason} ({row.shape})" for row in rows if row.where == "cpu"]
        raise unsupported(split.left, delegation.total, options.soc.title, [], details)


def _dims(value: onnx.ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)


def _context(job: Job, scratch: Path, directory: Path, graph: onnx.ModelProto, options: QnnOptions) -> dict[str, Path]:
    # a fresh directory: QNN appends to an old profile, and would leave an old binary in place
    _run(job | {"task": "compile", "directory": str(scratch)}, scratch, graph, options)
    written = [name for name in (CONTEXT_MODEL, CONTEXT_BINARY, PROFILE) if (scratch / name).is_file()]
    if CONTEXT_MODEL not in written:
        # with the CPU allowed, a model without any NPU node compiles to nothing, and no error is raised
        raise unsupported(compute_nodes(graph), len(compute_nodes(graph)), options.soc.title, [])
    if CONTEXT_BINARY not in written:
        raise ConversionFailed(f"the QNN compiler reported success, but wrote only {', '.join(written)}")
    return {name: (scratch / name).rename(directory / name) for name in written}


def _dlc(job: Job, directory: Path, graph: onnx.ModelProto, options: QnnOptions) -> dict[str, Path]:
    fresh = _fresh(directory / "dlc")
    _run(job | {"task": "dlc", "directory": str(fresh)}, fresh, graph, options)
    return collect_dlcs(fresh, directory)


def _run(job: Job, workdir: Path, graph: onnx.ModelProto, options: QnnOptions) -> None:
    try:
        run_task(job, workdir)
    except ToolFailed as failure:
        raise _explained(failure, job, workdir, graph, options) from failure


def _explained(failure: ToolFailed, job: Job, workdir: Path, graph: onnx.ModelProto, options: QnnOptions) -> DMSError:
    """A refusal that names nodes where the log does, else the compiler's own last lines."""
    why = failure.why().replace(job["model"], "the model")
    if job["allow_cpu"]:
        named = ", ".join(str(node) for node in _refused_when_strict(job, workdir)[:_SHOWN_NODES])
        aside = f" even with nodes left to the CPU ({named})" if named else ""
        return ConversionFailed(f"the QNN compiler refused the model for {options.soc.title}{aside}; {why}")
    refused = _refused(failure, graph)
    if refused:
        details = _details(job, workdir, graph, {node.name for node in refused})
        return unsupported(refused, len(compute_nodes(graph)), options.soc.title, failure.lines, details)
    return ConversionFailed(f"the QNN compiler refused the model for {options.soc.title}; {why}")


def _refused(failure: ToolFailed, graph: onnx.ModelProto) -> list[Node]:
    return compute_nodes(graph) if nothing_supported(failure.lines) else refused_nodes(failure.lines)


def _details(job: Job, workdir: Path, graph: onnx.ModelProto, refused: set[str]) -> list[str]:
    """QNN writes its reasons only when the CPU is allowed: ask once more that way. Empty when that fails too."""
    fresh = _fresh(workdir / "reasons")
    try:
        run_task(job | {"allow_cpu": True, "directory": str(fresh)}, fresh)
        rows = placements(graph, read_op_trace(fresh / OP_TRACE), refused)
    except (ToolFailed, ConversionFailed):
        return []
    return [f"{row.node}: {row.reason} ({row.shape})" for row in rows if row.where == "cpu"]


def _refused_when_strict(job: Job, workdir: Path) -> list[Node]:
    """The log names unsupported nodes only when the CPU is forbidden: ask once more that way."""
    try:
        run_task(job | {"allow_cpu": False, "io_on_cpu": False}, workdir)
    except ToolFailed as failure:
        return refused_nodes(failure.lines)
    return []


def schedule_log(compiled: CompiledModel) -> bytes:
    """The provider's binary profiling log; empty when there is none."""
    path = compiled.scratch / PROFILE_LOG
    return path.read_bytes() if path.is_file() else b""


def _fresh(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
