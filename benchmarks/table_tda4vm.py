# ruff: noqa: E402 - the paths come first
"""The example's nets on TDA4VM without TI's tools: what the pre-flight, the ladder and the roofline say of each.

`python benchmarks/table_tda4vm.py` (or `make table-tda4vm`) writes the table into docs/tda4vm.md.
"""

import argparse
import os
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("operator", "examples", "tests")]

from example_nets import ACCEPTED_DROP, CALIBRATE, EVALUATE, TITLES, Net, resolved
from report import write_section

from dms_operator.api.errors import DMSError
from dms_operator.api.spec import QuantizationSpec
from dms_operator.api.stages import StageResult
from dms_operator.controller.rungs import Rung, rungs
from dms_operator.pipeline.progress import silent
from dms_operator.toolchains.tidl import Tidl
from driver_monitor.dataset import write_dataset

HEADER = (
    "net",
    "rung",
    "scheme",
    f"top-1, {EVALUATE} clips (95 %)",
    "drop, points",
    "same answer as float",
    "nodes on the C7x",
    "latency (at most)",
)


def rows(name: str, net: Net) -> Iterator[list[str]]:
    """The float reference, then every rung for toolchain tidl; training left out, which takes minutes."""
    facts = net.reference.variant
    assert facts is not None
    yield [TITLES[name], "fp32", facts.scheme, f"{facts.accuracy.value:.3f}", "", "", "", ""]
    for rung in rungs("int8", QuantizationSpec(max_accuracy_drop=ACCEPTED_DROP), "tidl"):
        yield row(TITLES[name], rung, net, net.quantize(rung, "tidl"))


def row(title: str, rung: Rung, net: Net, made: StageResult) -> list[str]:
    facts = made.variant
    assert facts is not None
    score = facts.accuracy
    wide = next((note for note in facts.notes.split("; ") if "widened" in note), "")
    return [
        title,
        rung.name("tidl"),
        f"{facts.scheme} {wide.partition(',')[0]}".strip(),
        f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})",
        f"{100 * facts.accuracy_drop:.1f}",
        f"{score.agreement or 0:.1%}",
        *estimate(net, made),
    ]


def estimate(net: Net, made: StageResult) -> tuple[str, str]:
    """Delegation and latency, or why there are none."""
    with tempfile.TemporaryDirectory() as directory:
        options = {"estimate-only": "true", "allow-cpu-fallback": "true"}
        model = net.stages.files(made)["model.onnx"]
        try:
            compiled = Tidl().convert(model, "tda4vm", options, Path(directory), silent)
        except DMSError as error:
            return f"{error.reason}: {error}", ""
        latency = Tidl().cost(Path(directory))
    assert latency is not None
    bound, delegation = str(latency.bound) if latency.bound else "no bound", compiled.facts.delegation
    left = f", not {', '.join(delegation.left_on_cpu)}" if delegation.left_on_cpu else ""
    return f"{delegation.npu} of {delegation.total}{left}", f"{latency.p50} ({bound})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=list(TITLES), choices=list(TITLES))
    arguments = parser.parse_args()
    lines = [list(HEADER), ["---"] * len(HEADER)]
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DMS_FILE_ROOTS"] = directory
        dataset = write_dataset(Path(directory) / "data.npz", CALIBRATE + EVALUATE, 777)
        for name in arguments.nets:
            for line in rows(name, resolved(name, Path(directory), dataset)):
                print("|", " | ".join(line), "|", flush=True)
                lines.append(line)
    note = textwrap.fill(
        f"`make table-tda4vm`. All of it is `estimated`: {CALIBRATE} clips calibrate, {EVALUATE} others evaluate in "
        "TIDL's arithmetic on the host, the operators are held against TI's tables, the latency is the roofline's.",
        120,
    )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    write_section(ROOT / "docs" / "tda4vm.md", "tda4vm-nets", "Three nets on TDA4VM", f"{note}\n\n{table}")


if __name__ == "__main__":
    main()
