"""ONNX Runtime on the CPU: the host baseline, and the toolchain of the generic boards."""

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime

from ..api.capabilities import BOARDS, BoardType, ToolchainName
from ..api.errors import ConversionFailed, InvalidSpec
from ..api.stages import CompiledFacts, Delegation, LatencyFacts
from .base import Arrays, Compiled, Progress
from .manifest import write_manifest
from .onnx_graph import read_graph
from .ort_session import OrtSession

_GENERIC_BOARDS: dict[str, str] = {board.name: board.machine for board in BOARDS.values() if not board.soc}
"""Board type to machine name: a node of that architecture is itself such a board."""


def open_cpu_session(model: Path) -> OrtSession:
    """Load an ONNX model on all cores that this process may use. Raises ConversionFailed when it cannot be."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    # spinning threads burn a container's CPU quota, and the throttling would show up as latency
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return OrtSession(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # ONNX Runtime's exception classes share no base but Exception
        raise ConversionFailed(f"ONNX Runtime cannot load the model on the CPU: {str(error)[:500]}") from error


class OnnxRuntimeCpu:
    """Runs the variant's ONNX file as it is."""

    name: ToolchainName = "onnxruntime"

    @property
    def version(self) -> str:
        """Name and version of the tools that run it."""
        return f"onnxruntime {onnxruntime.__version__}"

    def convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        """Copy the model, after a trial load. Raises InvalidSpec for any option, ConversionFailed."""
        if options:
            raise InvalidSpec(f"toolchain onnxruntime takes no options, got {', '.join(sorted(options))}")
        progress("convert", 0, 1)
        open_cpu_session(model)
        target = workdir / "model.onnx"
        shutil.copyfile(model, target)
        nodes = len(read_graph(target).graph.node)
        machine = _GENERIC_BOARDS.get(board, platform.machine())
        facts = CompiledFacts(
            toolchain=self.name,
            tool_version=self.version,
            soc="",
            architecture=machine,
            # no NPU is asked for, so nothing falls back: the CPU is the target
            delegation=Delegation(npu=0, total=nodes),
            size_bytes=target.stat().st_size,
        )
        files = {"model.onnx": target}
        files["manifest.json"] = write_manifest(workdir, facts, model, board, options, files)
        progress("convert", 1, 1)
        return Compiled(files, facts)

    def has_target(self, board: BoardType) -> bool:
        """True for the generic board type of this machine's own architecture."""
        return _GENERIC_BOARDS.get(board) == platform.machine()

    def session(self, compiled: Path) -> OrtSession:
        """Load the model on this machine's CPU."""
        return open_cpu_session(compiled / "model.onnx")

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """None: the CPU itself is the target."""
        return None

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """None: there is no cost model of a CPU."""
        return None
