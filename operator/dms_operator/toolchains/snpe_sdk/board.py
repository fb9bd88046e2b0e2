"""Measures on the board with the SDK's own programs. No board has run this yet: the tests' tools are fakes.

The tools print average, minimum, maximum or throughput; percentiles come from toolchain qnn's query loop.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ...api.errors import ToolchainUnavailable
from . import argv
from .outputs import (
    ExecuteStatistics,
    LayerTime,
    parse_diagview,
    parse_profile_viewer,
    parse_throughput,
)
from .run import run_command, target_environment

_NET_RUN_LOG = "output/SNPEDiag_0.log"
_QNN_LOG = "output/qnn-profiling-data_0.log"


@dataclass(frozen=True)
class BoardTools:
    """The SDK on the board: its root there, its name of the board's system, and the HTP's architecture number."""

    root: Path
    platform: str
    architecture: int
    timeout_seconds: float = 600.0

    def run(self, command: argv.Argv, workdir: Path) -> list[str]:
        """Run one of the board's tools. Raises ToolchainUnavailable when it is missing, and as `run_command` does."""
        tool = self.root / "bin" / self.platform / command[0]
        if not tool.is_file():
            raise ToolchainUnavailable(f"the SDK on the board has no {self.platform}/{command[0]}")
        environment = {**os.environ, **target_environment(str(self.root), self.platform, self.architecture)}
        return run_command([str(tool), *command[1:]], command[0], workdir, environment, self.timeout_seconds)

    def library(self, name: str) -> str:
        """Path of a library for the board."""
        return str(self.root / "lib" / self.platform / name)


def throughput(tools: BoardTools, dlc: Path, workdir: Path, seconds: int, performance: str = "burst") -> float:
    """Inferences per second over some seconds (snpe-throughput-net-run)."""
    return parse_throughput(tools.run(argv.snpe_throughput_net_run(str(dlc), seconds, performance), workdir))


def layer_times(
    tools: BoardTools, dlc: Path, input_list: str, workdir: Path, performance: str = "burst"
) -> list[LayerTime]:
    """Time of each layer over the samples of the list (snpe-net-run, snpe-diagview)."""
    tools.run(argv.snpe_net_run(str(dlc), input_list, performance), workdir)
    tools.run(argv.snpe_diagview(_NET_RUN_LOG), workdir)
    return parse_diagview((workdir / "diagview.csv").read_text())


def execute_statistics(
    tools: BoardTools, context: Path, input_list: str, workdir: Path, performance: str = "burst"
) -> ExecuteStatistics:
    """Average, minimum and maximum time per inference (qnn-net-run, qnn-profile-viewer)."""
    backend = tools.library("libQnnHtp.so")
    tools.run(argv.qnn_net_run(backend, str(context), input_list, performance), workdir)
    return parse_profile_viewer(tools.run(argv.qnn_profile_viewer(_QNN_LOG), workdir))
