"""ONNX Runtime on the CPU: the host baseline, and the toolchain of the generic boards."""

import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime

from ..api.capabilities import BOARDS, BoardType, ToolchainName
from ..api.stages import CompiledFacts, Delegation, LatencyFacts
from ..api.target_options.check import check_options
from .base import Arrays, Compiled, Progress
from .loading import Loading, open_cpu_session
from .manifest import read_manifest, write_manifest
from .onnx_graph import read_graph

_GENERIC_BOARDS: dict[str, str] = {board.name: board.machine for board in BOARDS.values() if not board.soc}
"""Board type to machine name: a node of that architecture is itself such a board."""


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
        check_options(self.name, board, options)
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

    def loading(self, compiled: Path) -> Loading:
        """Load the model on the CPU of a machine of the board's kind."""
        board = BOARDS[read_manifest(compiled)["board"]]
        return Loading("onnxruntime", "model.onnx", machine=board.machine)

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """None: the CPU itself is the target."""
        return None

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """None: there is no cost model of a CPU."""
        return None
