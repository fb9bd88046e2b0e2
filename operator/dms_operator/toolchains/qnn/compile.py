"""Compiles a model into a context binary and a DLC for one SoC, and refuses what would not run on the NPU whole."""

import shutil
from pathlib import Path

import onnx

from ...api.errors import ConversionFailed, DMSError
from ..base import Progress
from ..onnx_graph import read_graph
from .child import CONTEXT_BINARY, CONTEXT_MODEL, PROFILE, Job
from .delegation import Node, Split, compute_nodes, nothing_supported, refused_nodes, split_of, unsupported
from .dlc import collect_dlcs
from .options import QnnOptions
from .process import ToolFailed, run_task
from .socs import Soc

_STEPS = 2
_SHOWN_NODES = 10


def compile_model(
    model: Path, soc: Soc, options: QnnOptions, directory: Path, progress: Progress
) -> tuple[dict[str, Path], Split]:
    """Write context model, context binary, profile and DLC into a directory.

    Returns the files and how the graph was split. Raises UnsupportedOperators (unless CPU fallback is allowed),
    ConversionFailed with the tool's own words, ConverterKilled.
    """
    graph = read_graph(model)
    job = soc_job(soc, model, allow_cpu=options.allow_cpu) | {"optimization": options.optimization}
    progress("convert", 0, _STEPS)
    files = _context(job, directory, graph, soc)
    split = split_of(read_graph(files[CONTEXT_MODEL]))
    if split.partitions == 0 or not (split.whole or options.allow_cpu):
        raise unsupported(split.left, len(compute_nodes(graph)), soc.title, [])
    progress("convert", 1, _STEPS)
    files |= _dlc(job, directory, graph, soc)
    progress("convert", _STEPS, _STEPS)
    return files, split


def soc_job(soc: Soc, model: Path, *, allow_cpu: bool) -> Job:
    """The part of a child's job that every task needs."""
    return {
        "model": str(model.resolve()),
        "soc_model": soc.model,
        "architecture": soc.architecture,
        "vtcm_mb": soc.vtcm_mb,
        "allow_cpu": allow_cpu,
    }


def _context(job: Job, directory: Path, graph: onnx.ModelProto, soc: Soc) -> dict[str, Path]:
    # a fresh directory: QNN appends to an old profile, and would leave an old binary in place
    fresh = _fresh(directory / "context")
    _run(job | {"task": "compile", "directory": str(fresh)}, fresh, graph, soc)
    written = [name for name in (CONTEXT_MODEL, CONTEXT_BINARY, PROFILE) if (fresh / name).is_file()]
    if not written:
        # with the CPU allowed, a model without any NPU node compiles to nothing, and no error is raised
        raise unsupported(compute_nodes(graph), len(compute_nodes(graph)), soc.title, [])
    if not {CONTEXT_MODEL, CONTEXT_BINARY} <= set(written):
        raise ConversionFailed(f"the QNN compiler reported success, but wrote only {', '.join(written)}")
    return {name: (fresh / name).rename(directory / name) for name in written}


def _dlc(job: Job, directory: Path, graph: onnx.ModelProto, soc: Soc) -> dict[str, Path]:
    fresh = _fresh(directory / "dlc")
    _run(job | {"task": "dlc", "directory": str(fresh)}, fresh, graph, soc)
    return collect_dlcs(fresh, directory)


def _run(job: Job, workdir: Path, graph: onnx.ModelProto, soc: Soc) -> None:
    try:
        run_task(job, workdir, "convert", _quiet)
    except ToolFailed as failure:
        raise _explained(failure, job, workdir, graph, soc) from failure


def _explained(failure: ToolFailed, job: Job, workdir: Path, graph: onnx.ModelProto, soc: Soc) -> DMSError:
    """A refusal that names nodes where the log does, else the compiler's own last lines."""
    why = failure.why().replace(job["model"], "the model")
    if job["allow_cpu"]:
        named = ", ".join(str(node) for node in _refused_when_strict(job, workdir)[:_SHOWN_NODES])
        aside = f" even with nodes left to the CPU ({named})" if named else ""
        return ConversionFailed(f"the QNN compiler refused the model for {soc.title}{aside}; {why}")
    nodes = compute_nodes(graph)
    refused = nodes if nothing_supported(failure.lines) else refused_nodes(failure.lines)
    if refused:
        return unsupported(refused, len(nodes), soc.title, failure.lines)
    return ConversionFailed(f"the QNN compiler refused the model for {soc.title}; {why}")


def _refused_when_strict(job: Job, workdir: Path) -> list[Node]:
    """The log names unsupported nodes only when the CPU is forbidden: ask once more that way."""
    try:
        run_task(job | {"allow_cpu": False}, workdir, "convert", _quiet)
    except ToolFailed as failure:
        return refused_nodes(failure.lines)
    return []


def _fresh(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _quiet(step: str, done: int, total: int) -> None:
    """The compiler reports no progress of its own."""
