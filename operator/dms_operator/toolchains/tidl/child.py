"""What runs under TI's Python (3.10, with TI's onnxruntime and numpy): one job file, one task.

Started by path, not as a module: TI's Python does not know this package. Prints `@progress` lines; exit code 3 and
an `@error` line when a task raises. Nothing newer than Python 3.10 and numpy 1 may be used here.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TASK_FAILED_EXIT_CODE = 3
_PR_SET_PDEATHSIG = 1


def probe(job: dict[str, Any]) -> None:
    """Print which execution providers there are."""
    import onnxruntime

    print("@version " + onnxruntime.__version__, flush=True)
    print("@providers " + ",".join(onnxruntime.get_available_providers()), flush=True)


def compile_model(job: dict[str, Any]) -> None:
    """Import the model: TI's provider calibrates while the samples run, and writes when the last has run."""
    session = _session(job, "TIDLCompilationProvider")
    for _ in _outputs(session, job):
        pass
    del session  # TI's provider completes its files when the session ends


def emulate(job: dict[str, Any]) -> None:
    """Run compiled artifacts bit by bit on this PC; write `outputs.npz`."""
    import numpy

    session = _session(job, "TIDLExecutionProvider")
    names = [output.name for output in session.get_outputs()]
    rows = list(_outputs(session, job))
    columns = [numpy.stack([row[index] for row in rows]) for index in range(len(names))]
    numpy.savez(job["outputs"], numpy.array(names), *columns)


def _session(job: dict[str, Any], provider: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # TI: needed for transformers, and node numbers then are those of the file
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        job["model"],
        sess_options=options,
        providers=[provider, "CPUExecutionProvider"],
        provider_options=[job["options"], {}],
    )


def _outputs(session: Any, job: dict[str, Any]) -> Iterator[Any]:
    import numpy

    with numpy.load(job["samples"], allow_pickle=False) as archive:
        names = [str(name) for name in archive["arr_0"]]
        columns = [archive[f"arr_{index}"] for index in range(1, len(names) + 1)]
    total = len(columns[0])
    for index in range(total):
        print(f"@progress {index}/{total}", flush=True)
        yield session.run(None, {name: column[index] for name, column in zip(names, columns, strict=True)})


TASKS = {"probe": probe, "compile": compile_model, "emulate": emulate}


def main(job_file: str) -> int:
    """Run the job; 0, or TASK_FAILED_EXIT_CODE after an `@error` line."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    try:
        TASKS[job["task"]](job)
    except BaseException as error:  # the parent reads the text; it knows which errors mean what
        print(f"@error {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        sys.stdout.flush()
        os._exit(TASK_FAILED_EXIT_CODE)  # TI's libraries must not run their cleanup on a half-made import
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
