"""Runs one tool of the SDK in a scratch directory, with the environment that Qualcomm's envsetup.sh would give it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...api.target_options.qnn import TIMEOUT
from ..endings import timed_out
from .argv import Argv
from .errors import tool_error
from .sdk import HOST, Sdk

_KEPT_LINES = 5000


def run_tool(sdk: Sdk, argv: Argv, workdir: Path, timeout_seconds: float) -> list[str]:
    """Run to the end; gives the lines of standard output and error together.

    Raises what `tool_error` makes of a failure, and ConverterKilled after the timeout; no process is left behind.
    """
    command = [str(sdk.tool(argv[0])), *argv[1:]]
    return run_command(command, argv[0], workdir, host_environment(sdk, os.environ), timeout_seconds)


def run_command(
    command: Sequence[str], tool: str, workdir: Path, environment: Mapping[str, str], timeout_seconds: float
) -> list[str]:
    """Run a command, whose errors speak of `tool`. Gives and raises as `run_tool` does."""
    with subprocess.Popen(
        command,
        cwd=workdir,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        # the tools are scripts that start others: a group of their own can be ended as one
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise timed_out(tool, timeout_seconds, TIMEOUT) from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    lines = [line.rstrip() for line in output.splitlines() if line.strip()][-_KEPT_LINES:]
    if process.returncode != 0:
        raise tool_error(tool, process.returncode, lines)
    return lines


def host_environment(sdk: Sdk, environment: Mapping[str, str]) -> dict[str, str]:
    """Environment of the host tools: PATH, LD_LIBRARY_PATH and PYTHONPATH begin with the SDK's."""
    root = str(sdk.root)
    tools, libraries = f"{root}/bin/{HOST}", f"{root}/lib/{HOST}"
    return {
        **environment,
        "QAIRT_SDK_ROOT": root,
        "QNN_SDK_ROOT": root,
        "SNPE_ROOT": root,
        "PATH": _before(tools, environment.get("PATH", "")),
        "LD_LIBRARY_PATH": _before(libraries, environment.get("LD_LIBRARY_PATH", "")),
        # the converters are Python programs: our own packages must not stand in their way
        "PYTHONPATH": f"{root}/lib/python",
    }


def target_environment(root: str, platform: str, architecture: int) -> dict[str, str]:
    """Environment of the tools on the board: host-side libraries, and where the DSP finds its skeleton.

    `platform` is the SDK's name of the board's system, such as aarch64-oe-linux-gcc11.2.
    """
    skeletons = f"{root}/lib/hexagon-v{architecture}/unsigned"
    return {
        "LD_LIBRARY_PATH": f"{root}/lib/{platform}",
        # FastRPC's path list is separated by semicolons
        "ADSP_LIBRARY_PATH": f"{skeletons};/usr/lib/rfsa/adsp;/dsp",
    }


def _before(first: str, others: str) -> str:
    return f"{first}{os.pathsep}{others}" if others else first
