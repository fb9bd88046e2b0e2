"""What runs in a process of its own, since Qualcomm's libraries may crash or exit: one job file, one task.

Started by `process` and `workers`; prints `@done` lines; exit code 3 and an `@error` line when a task raises.
"""

import ctypes
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..ort_session import NUMPY_TYPES
from .arrays import load_arrays, save_arrays
from .provider import library, open_session

TASK_FAILED_EXIT_CODE = 3
CONTEXT_MODEL = "model_ctx.onnx"
CONTEXT_BINARY = "model_ctx_qnn.bin"
PROFILE = "profile.csv"
PROFILE_LOG = "profile_qnn.log"
"""What the provider makes of PROFILE for its binary log, in which the cost model's schedule lies."""
LAYER_PROFILE = "layers.csv"

_PR_SET_PDEATHSIG = 1

Job = dict[str, Any]


def compile_context(job: Job) -> None:
    """Write the context model and binary, the cost model's profile and the op trace into the job's directory.

    Profiling level and op trace change no byte of the binary (QAIRT 2.51).
    """
    directory = Path(job["directory"])
    config = {
        "ep.context_enable": "1",
        "ep.context_file_path": str(directory / CONTEXT_MODEL),
        "ep.context_embed_mode": "0",
    }
    options = _soc_options(job) | {
        "htp_graph_finalization_optimization_mode": job["optimization"],
        "profiling_level": "optrace",
        "profiling_file_path": str(directory / PROFILE),
        "enable_framework_op_trace": "1",
        "framework_op_trace_dir": str(directory),
    }
    open_session(Path(job["model"]), options, config, allow_cpu=job["allow_cpu"])


def dump_dlc(job: Job) -> None:
    """Write one `.dlc` per partition into the job's directory.

    A second session, because the serializer that writes the file offers no profiling.
    """
    options = _soc_options(job) | {
        "dump_qnn_ir_dlc": "1",
        "dump_qnn_ir_dlc_dir": job["directory"],
        "qnn_ir_backend_path": str(library("QnnIr")),
    }
    open_session(Path(job["model"]), options, {}, allow_cpu=job["allow_cpu"])


def profile_layers(job: Job) -> None:
    """Run the context model once on zeros; the detailed profile names the operators by their ids."""
    directory = Path(job["directory"])
    options = _soc_options(job) | {
        "profiling_level": "detailed",
        "profiling_file_path": str(directory / LAYER_PROFILE),
        "enable_framework_op_trace": "1",
        "framework_op_trace_dir": str(directory),
    }
    session = open_session(Path(job["model"]), options, {}, allow_cpu=job["allow_cpu"])
    inputs = session.native.get_inputs()
    session.run({each.name: np.zeros(each.shape, NUMPY_TYPES[each.type]) for each in inputs})


def simulate(job: Job) -> None:
    """Serve: for each index on standard input run `<index>.in.npz`, write `<index>.out.npz`, and say `@done`."""
    directory = Path(job["directory"])
    session = open_session(Path(job["model"]), _soc_options(job), {}, allow_cpu=job["allow_cpu"])
    for line in sys.stdin:
        index = int(line)
        outputs = session.run(load_arrays(directory / f"{index}.in.npz"))
        save_arrays(directory / f"{index}.out.npz", outputs)
        print(f"@done {index}", flush=True)


def _soc_options(job: Job) -> dict[str, str]:
    # without the SoC, preparing float graphs fails (error 1002), and the binary is bound to nothing
    return {
        "soc_model": str(job["soc_model"]),
        "htp_arch": str(job["architecture"]),
        "vtcm_mb": str(job["vtcm_mb"]),
        # unless asked otherwise, input and output quantization belong to the NPU, not to the vehicle's CPU
        "offload_graph_io_quantization": str(int(job["io_on_cpu"])),
    }


TASKS: dict[str, Callable[[Job], None]] = {
    "compile": compile_context,
    "dlc": dump_dlc,
    "profile": profile_layers,
    "simulate": simulate,
}


def main(job_file: str) -> int:
    """Run the job; 0, or TASK_FAILED_EXIT_CODE after an `@error` line."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    job = json.loads(Path(job_file).read_text())
    try:
        TASKS[job["task"]](job)
    except Exception as error:  # the parent reads the text; it knows which errors mean what
        print(f"@error {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        return TASK_FAILED_EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
