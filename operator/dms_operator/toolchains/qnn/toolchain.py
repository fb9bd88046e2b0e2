"""Toolchain `qnn`: compile, verify, simulate, price and run, over onnxruntime-qnn."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnxruntime

from ...api.capabilities import BoardType, ToolchainName
from ...api.errors import ConversionFailed, WrongTarget
from ...api.stages import CompiledFacts, LatencyFacts
from ...api.target_options.qnn import QnnOptions, parse_options
from ..base import Arrays, Compiled, Progress
from ..loading import Loading
from ..manifest import MANIFEST, read_manifest, write_manifest
from ..onnx_graph import read_graph
from ..samples import checked_samples, input_shapes
from ..scratch import all_or_nothing
from . import provider
from .binary import check_target, read_target
from .child import CONTEXT_BINARY, CONTEXT_MODEL, PROFILE
from .compile import compile_model
from .cost import simulated_latency
from .delegation import delegation_of
from .profile import parse_profile
from .profiling import layer_profile
from .simulate import simulate_samples, simulate_stream

LAYERS = "layers.json"
"""The per-layer profile and the cost model's sums."""
DELEGATION = "delegation.json"
"""One row per node of the model: where it runs, why not on the NPU, what to try."""


class Qnn:
    """Compiles for the HTP of Qualcomm boards without a board, and runs on it where there is one."""

    name: ToolchainName = "qnn"

    @property
    def version(self) -> str:
        """Name and version of the tools that run it. Raises ToolchainUnavailable."""
        return f"onnxruntime-qnn {provider.version()} on onnxruntime {onnxruntime.__version__}"

    def convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        """Write context model, context binary, DLC, profiles, delegation report and manifest; on failure, nothing."""
        with all_or_nothing(workdir):
            return self._convert(model, board, options, workdir, progress)

    def _convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        chosen, version = parse_options(options, board), self.version
        compiled = compile_model(model, chosen, workdir, progress)
        files, graph = compiled.files, read_graph(model)
        target = read_target(files[CONTEXT_BINARY])
        check_target(target, chosen.soc)
        facts = CompiledFacts(
            toolchain=self.name,
            tool_version=f"{version}, QAIRT {target.sdk}",
            soc=chosen.soc.name,
            architecture=f"v{chosen.soc.architecture}",
            delegation=delegation_of(graph, compiled.split),
            size_bytes=files[CONTEXT_BINARY].stat().st_size,
        )
        profile = layer_profile(compiled, graph, chosen)
        files[LAYERS] = _write_json(workdir / LAYERS, profile)
        files[DELEGATION] = _write_json(workdir / DELEGATION, [node.to_wire() for node in compiled.placements])
        files[MANIFEST] = write_manifest(
            workdir,
            facts,
            model,
            board,
            options,
            files,
            target=asdict(target),
            vtcmMb=chosen.vtcm_mb,
            partitions=compiled.split.partitions,
            costModel=profile["costModel"],
            cpuNodes=[node.to_wire() for node in compiled.placements if node.where == "cpu"],
        )
        shutil.rmtree(compiled.scratch)
        progress("convert", 3, 3)
        return Compiled(files, facts)

    def has_target(self, board: BoardType) -> bool:
        """Whether ONNX Runtime finds a device of type NPU; on x86 it finds the simulator, of type CPU."""
        return bool(provider.npu_devices())

    def loading(self, compiled: Path) -> Loading:
        """Load the compiled model on the board's NPU, with QNN's documented options for measuring (burst clocks).

        Not yet run on a board: on x86 there is no NPU device, and opening raises ToolchainUnavailable.
        """
        chosen = _options(compiled)
        options = {
            "htp_performance_mode": chosen.performance_mode,
            "soc_model": str(chosen.soc.model),
            "htp_arch": str(chosen.soc.architecture),
            "offload_graph_io_quantization": str(int(chosen.io_on_cpu)),
        }
        allow_cpu = chosen.io_on_cpu or not _whole(compiled)
        return Loading("qnn", CONTEXT_MODEL, options, allow_cpu)

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """Run the samples on the x86 functional simulator of the HTP, on all cores."""
        chosen = _options(compiled)
        check_target(read_target(compiled / CONTEXT_BINARY), chosen.soc)
        fitting = list(checked_samples(input_shapes(compiled / CONTEXT_MODEL), samples))
        return simulate_samples(compiled, chosen, fitting, workdir, progress)

    def simulate_stream(self, compiled: Path, samples: Iterable[Arrays], workdir: Path) -> Iterator[tuple[int, Arrays]]:
        """Like `simulate` for any number of samples: (index, outputs) as they finish, few of them in memory."""
        chosen = _options(compiled)
        check_target(read_target(compiled / CONTEXT_BINARY), chosen.soc)
        fitting = checked_samples(input_shapes(compiled / CONTEXT_MODEL), samples)
        return simulate_stream(compiled, chosen, fitting, workdir)

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """Qualcomm's cost model, as recorded when the model was compiled."""
        profile, manifest = compiled / PROFILE, read_manifest(compiled)
        if not profile.is_file():
            return None
        facts = _facts(manifest)
        costs = parse_profile(profile.read_text())
        left = facts.delegation.total - facts.delegation.npu
        return simulated_latency(costs, int(manifest["partitions"]), left, _options(compiled).soc)


def _facts(manifest: Mapping[str, Any]) -> CompiledFacts:
    return CompiledFacts.model_validate(manifest["compiled"])


def _whole(compiled: Path) -> bool:
    delegation = _facts(read_manifest(compiled)).delegation
    return delegation.npu == delegation.total


def _options(compiled: Path) -> QnnOptions:
    """The options that the artifact was compiled with. Raises WrongTarget when it is bound to another SoC."""
    manifest = read_manifest(compiled)
    chosen = parse_options(manifest["options"], manifest["board"])
    if _facts(manifest).soc != chosen.soc.name:
        raise WrongTarget(f"the artifact was compiled for {_facts(manifest).soc}, the board carries {chosen.soc.name}")
    if not (compiled / CONTEXT_BINARY).is_file():
        raise ConversionFailed(f"the compiled artifact has no {CONTEXT_BINARY}")
    return chosen


def _write_json(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path
