"""Makes the per-layer profile of a compiled model: one inference on the simulator, joined with the cost model."""

import shutil
from pathlib import Path
from typing import Any

import onnx

from ...api.errors import ConversionFailed
from ...api.target_options.qnn import QnnOptions
from .child import CONTEXT_BINARY, CONTEXT_MODEL, LAYER_PROFILE, PROFILE
from .compile import CompiledModel, schedule_log, soc_job
from .delegation import compute_nodes
from .layers import Layer, layers, profile_document
from .placement import OP_TRACE
from .process import ToolFailed, run_task
from .profile import PartitionCost, parse_nodes, parse_profile
from .schedule import Schedule, parse_schedules

_NOT_ASKED = "option layer-profile is false"


def layer_profile(compiled: CompiledModel, model: onnx.ModelProto, options: QnnOptions) -> dict[str, Any]:
    """The document of `layers.json`. Without layers it says why; a net that compiles may still fail to simulate."""
    costs = _costs(compiled.files.get(PROFILE))
    if not options.layer_profile:
        return profile_document([], costs, options.soc, _NOT_ASKED)
    try:
        found = _layers(compiled, model, options)
    except (ToolFailed, ConversionFailed) as failure:
        why = failure.why() if isinstance(failure, ToolFailed) else failure.message
        return profile_document([], costs, options.soc, f"no layers: the simulator's profile failed; {why}")
    return profile_document(found, costs, options.soc, "")


def _layers(compiled: CompiledModel, model: onnx.ModelProto, options: QnnOptions) -> list[Layer]:
    schedules: list[Schedule] = parse_schedules(schedule_log(compiled))
    if len(schedules) != compiled.split.partitions:
        # a partial schedule would make its operators look like the expensive ones
        schedules = []
    directory = compiled.scratch / "layers"
    directory.mkdir()
    for path in (compiled.files[CONTEXT_MODEL], compiled.files[CONTEXT_BINARY], compiled.scratch / OP_TRACE):
        shutil.copyfile(path, directory / path.name)
    job = soc_job(options, directory / CONTEXT_MODEL) | {"task": "profile", "directory": str(directory)}
    run_task(job, directory)
    rows = parse_nodes((directory / LAYER_PROFILE).read_text())
    return layers(rows, schedules, (node.name for node in compute_nodes(model)))


def _costs(profile: Path | None) -> list[PartitionCost]:
    return parse_profile(profile.read_text()) if profile else []
