"""Loads a revision and runs the golden samples, in a process of its own: a vendor's runtime may crash or hang.

Called with a job's file and an answer's file, both JSON.
"""

import json
import statistics
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from ...api.errors import DMSError, GoldenMissing, NotDeployable, SmokeRunFailed, WrongTarget
from ...toolchains.loading import open_session
from ...toolchains.manifest import read_manifest
from ...toolchains.registry import toolchain
from ..golden import GOLDEN, Golden, compare

QUERIES = 15
"""Timed inferences. Odd, so that the median is one of them; enough that a few that were disturbed do not move it."""
_LONGEST = 500


def smoke(job: dict[str, Any]) -> dict[str, Any]:
    """Give median seconds, deviation and tolerance of the worst output.

    Raises NotDeployable, WrongTarget, GoldenMissing, GoldenMismatch, ToolchainUnavailable, ConversionFailed.
    """
    folder = Path(job["folder"])
    compiled = folder / "compiled"
    manifest = read_manifest(compiled)
    _check(manifest, job)
    tools = toolchain(job["toolchain"])
    loading = tools.loading(compiled)
    golden = Golden.load(folder / "benchmark" / GOLDEN)
    if golden.compiled != job["compiled"]:
        raise GoldenMissing(f"the golden outputs belong to another artifact, {golden.compiled}")
    if not tools.has_target(job["board"]):
        raise WrongTarget(
            f"this node is no {job['board']}, or its runtime does not find the compute unit of toolchain {tools.name}",
            hint="Correct the node's label dms.edge/vehicle, or what the vehicle gives its pods",
        )
    session = open_session(loading, compiled)
    agreement = compare(golden, [session.run(sample) for sample in golden.inputs])
    query = session.query(golden.inputs[0])
    return {
        "median": statistics.median(_seconds(query) for _ in range(QUERIES)),
        "output": agreement.output,
        "deviation": agreement.deviation,
        "tolerance": agreement.tolerance,
        "provenance": golden.provenance,
    }


def _check(manifest: dict[str, Any], job: dict[str, Any]) -> None:
    compiled = manifest["compiled"]
    if compiled.get("deployable") is False or manifest.get("deployable") is False:
        raise NotDeployable(
            "the compiled artifact is an estimate: it holds nothing that a vehicle could load",
            hint="Convert with the vendor's tools",
        )
    if (manifest["board"], compiled["toolchain"]) != (job["board"], job["toolchain"]):
        made = f"{manifest['board']} by {compiled['toolchain']}"
        raise WrongTarget(f"the artifact was made for {made}, not for {job['board']} by {job['toolchain']}")


def _seconds(query: Any) -> float:
    before = time.perf_counter()
    query()
    return time.perf_counter() - before


def main(job: Path, answer: Path) -> None:
    """Answer a job; an error of the domain is an answer, too."""
    try:
        found = smoke(json.loads(job.read_text()))
    except DMSError as error:
        found = {"reason": error.reason, "message": error.message, "hint": error.hint}
    except Exception as error:  # runtimes' exception classes share no base but Exception
        traceback.print_exc()
        message = f"the smoke inference failed: {type(error).__name__}: {str(error)[:_LONGEST]}"
        found = {"reason": SmokeRunFailed.reason, "message": message, "hint": ""}
    answer.write_text(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
