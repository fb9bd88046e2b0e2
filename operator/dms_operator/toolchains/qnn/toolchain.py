"""Toolchain `qnn`: compile, verify, simulate, price and run, over onnxruntime-qnn."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnxruntime

from ...api.capabilities import BoardType, ToolchainName
from ...api.errors import ConversionFailed, WrongTarget
from ...api.stages import CompiledFacts, LatencyFacts
from ..base import Arrays, Compiled, Progress
from ..manifest import read_manifest, write_manifest
from ..onnx_graph import read_graph
from ..ort_session import OrtSession
from . import provider
from .binary import check_target, read_target
from .child import CONTEXT_BINARY, CONTEXT_MODEL, PROFILE
from .compile import compile_model
from .cost import simulated_latency
from .delegation import delegation_of
from .options import parse_options
from .profile import parse_profile
from .simulate import simulate_samples
from .socs import Soc, soc_of


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
        """Write context model, context binary, DLC, profile and manifest for the board's SoC; all verified."""
        soc, chosen, version = soc_of(board), parse_options(options), self.version
        files, split = compile_model(model, soc, chosen, workdir, progress)
        target = read_target(files[CONTEXT_BINARY])
        check_target(target, soc)
        facts = CompiledFacts(
            toolchain=self.name,
            tool_version=f"{version}, QAIRT {target.sdk}",
            soc=soc.name,
            architecture=f"v{soc.architecture}",
            delegation=delegation_of(read_graph(model), split),
            size_bytes=files[CONTEXT_BINARY].stat().st_size,
        )
        files["manifest.json"] = write_manifest(
            workdir, facts, model, board, options, files, target=asdict(target), partitions=split.partitions
        )
        return Compiled(files, facts)

    def has_target(self, board: BoardType) -> bool:
        """Whether ONNX Runtime finds a device of type NPU; on x86 it finds the simulator, of type CPU."""
        return bool(provider.npu_devices())

    def session(self, compiled: Path) -> OrtSession:
        """Load the compiled model on this machine's NPU.

        Not yet run on a board: on x86 there is no NPU device, and this raises ToolchainUnavailable. The options
        are QNN's documented ones for measuring (burst clocks), the code is that of the simulator.
        """
        soc, allow_cpu = _soc(compiled), not _whole(compiled)
        options = {"htp_performance_mode": "burst", "soc_model": str(soc.model), "htp_arch": str(soc.architecture)}
        return provider.open_session(compiled / CONTEXT_MODEL, options, {}, allow_cpu=allow_cpu, on_npu=True)

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """Run the samples on the x86 functional simulator of the HTP."""
        soc = _soc(compiled)
        check_target(read_target(compiled / CONTEXT_BINARY), soc)
        return simulate_samples(compiled, soc, samples, workdir, progress, allow_cpu=not _whole(compiled))

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """Qualcomm's cost model, as recorded when the model was compiled."""
        profile, manifest = compiled / PROFILE, read_manifest(compiled)
        if not profile.is_file():
            return None
        facts = _facts(manifest)
        costs = parse_profile(profile.read_text())
        left = facts.delegation.total - facts.delegation.npu
        return simulated_latency(costs, int(manifest["partitions"]), left, _soc(compiled))


def _facts(manifest: Mapping[str, Any]) -> CompiledFacts:
    return CompiledFacts.model_validate(manifest["compiled"])


def _whole(compiled: Path) -> bool:
    delegation = _facts(read_manifest(compiled)).delegation
    return delegation.npu == delegation.total


def _soc(compiled: Path) -> Soc:
    manifest = read_manifest(compiled)
    soc = soc_of(manifest["board"])
    if _facts(manifest).soc != soc.name:
        raise WrongTarget(f"the artifact was compiled for {_facts(manifest).soc}, the board carries {soc.name}")
    if not (compiled / CONTEXT_BINARY).is_file():
        raise ConversionFailed(f"the compiled artifact has no {CONTEXT_BINARY}")
    return soc
