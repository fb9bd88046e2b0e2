# ruff: noqa: E402 - the paths come first
"""Every rung of the ladder on the example's nets: accuracy, drop, size, simulated and host latency, time spent.

`make table-quantize` writes the table into docs/quantization.md; `--nets skewed sheared` renews those nets' rows alone.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("operator", "examples", "tests")]

import numpy as np
import onnx
from report import read_section, write_section

from dms_operator.api.capabilities import Precision, ToolchainName
from dms_operator.api.errors import DMSError
from dms_operator.api.quantization import QatRecipe, StaticRecipe
from dms_operator.api.spec import QuantizationSpec
from dms_operator.api.stages import QuantizeRecipe, StageResult
from dms_operator.controller.rungs import REFERENCE, Rung, rungs
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.onnx_file import inputs_of
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.session import cpu_session, run_once
from dms_operator.toolchains.qnn.toolchain import Qnn
from driver_monitor.dataset import write_dataset
from driver_monitor.nets import NETS
from model_fixtures.hard_models import HARD
from pipeline.stages import Stages, succeeded

PAGE, SECTION = ROOT / "docs" / "quantization.md", "rungs"
CLIPS = 700
SAMPLES = {"calibration_samples": 64, "evaluation_samples": 300}
"""Training takes four fifths of the clips that do not evaluate."""
QAT = QatRecipe(epochs=6, learning_rate=1e-3, batch_size=16)
PRECISIONS: tuple[Precision, ...] = ("fp16", "int8", "int4")
TRAINED: tuple[Precision, ...] = ("int4",)
"""Precisions that the hard nets are trained at, minutes each; on the others a static rung is enough already."""
FORMS: tuple[tuple[Rung, ToolchainName], ...] = (
    (Rung("int8", "static", "minmax", StaticRecipe(per_channel=False)), "qnn"),
    (Rung("int4", "static", "minmax", StaticRecipe(activation_bits=8)), "qnn"),
    (Rung("int8", "dynamic"), "onnxruntime"),
)
"""What may be asked for, and is no rung of the ladder."""
COLUMNS = ("net", "rung", "scheme", "top1 (95 %)", "drop, points", "MB", "SA8255, simulated", "host", "made in")
WARM_UP, TIMED = 5, 40


def program(name: str, directory: Path) -> Path:
    if name in HARD:
        return HARD[name](directory / f"{name}.pt2")
    return Path(shutil.copy(NETS[name].program, directory))


def rows(name: str, stages: Stages, dataset: Path) -> Iterator[str]:
    resolved = succeeded(stages.resolve(program(name, stages.root), dataset)).artifact
    assert resolved is not None
    reference = succeeded(stages.quantize(resolved.digest, **SAMPLES))
    assert reference.artifact is not None
    yield row(name, REFERENCE, "qnn", reference, None, stages)
    for rung, toolchain in [*ladder(TRAINED if name in HARD else ()), *FORMS]:
        recipe = QuantizeRecipe(
            image="table",
            resolved=resolved.digest,
            reference=reference.artifact.digest,
            precision=rung.precision,
            method=rung.method,
            calibration=rung.calibration,
            static=rung.static,
            toolchain=toolchain,
            qat=QAT if rung.method == "qat" else None,
            calibration_samples=SAMPLES["calibration_samples"],
            evaluation_samples=SAMPLES["evaluation_samples"],
        )
        result = succeeded(stages.run(recipe))
        cost = simulated_latency(stages, result) if toolchain == "qnn" else None
        yield row(name, rung, toolchain, result, cost, stages)


def ladder(trained: tuple[Precision, ...]) -> Iterator[tuple[Rung, ToolchainName]]:
    for precision in PRECISIONS:
        for rung in rungs(precision, QuantizationSpec(), "qnn", trainable=precision in trained):
            yield rung, "qnn"


def simulated_latency(stages: Stages, result: StageResult) -> str:
    """The cost model's median for SA8255, after real compilation."""
    toolchain, options = Qnn(), {"layer-profile": "false"}
    with tempfile.TemporaryDirectory() as directory:
        try:
            toolchain.convert(stages.files(result)["model.onnx"], "sa8255", options, Path(directory), silent)
        except DMSError as error:
            return error.reason
        facts = toolchain.cost(Path(directory))
    return f"{facts.p50.value * 1e6:.0f} us" if facts else "-"


def host_latency(stages: Stages, result: StageResult) -> str:
    """Median of one clip at a time on this machine's CPU, one thread: no figure of the target."""
    model = stages.files(result)["model.onnx"]
    feed = load_dataset(stages.root / "data.npz", inputs_of(onnx.load(model)), 1 << 32).feed(0)
    session, times = cpu_session(model, threads=1), []
    for _ in range(WARM_UP + TIMED):
        began = time.perf_counter()
        run_once(session, feed)
        times.append(time.perf_counter() - began)
    return f"{1e3 * np.median(times[WARM_UP:]):.1f} ms"


def row(name: str, rung: Rung, toolchain: ToolchainName, result: StageResult, cost: str | None, stages: Stages) -> str:
    facts = result.variant
    assert facts is not None
    score = facts.accuracy
    cells = (
        name,
        rung.name(toolchain),
        facts.scheme,
        f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})",
        f"{100 * facts.accuracy_drop:.1f}",
        f"{facts.size_bytes / 1e6:.2f}",
        cost or "not for the HTP",
        host_latency(stages, result),
        f"{result.seconds:.0f} s",
    )
    line = f"| {' | '.join(cells)} |"
    print(line, flush=True)
    return line


def write(found: dict[str, list[str]]) -> None:
    """Replace the rows of these nets; those of others stay."""
    kept: dict[str, list[str]] = {}
    for line in read_section(PAGE, SECTION).splitlines():
        name = line.removeprefix("| ").split(" |")[0]
        if name in NETS or name in HARD:
            kept.setdefault(name, []).append(line)
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for name in [*NETS, *HARD]:
        lines += found.get(name, kept.get(name, []))
    note = (
        f"`make table-quantize`: {SAMPLES['calibration_samples']} clips calibrate, {SAMPLES['evaluation_samples']} "
        "others evaluate, and training (of the hard nets alone) takes four fifths of the remaining "
        f"{CLIPS - SAMPLES['evaluation_samples']} ({QAT.epochs} epochs at most, learning rate {QAT.learning_rate}). "
        "Latency of SA8255 is that of Qualcomm's cost model after real compilation; `host` is this machine's CPU with "
        "one thread, and no figure of the target. Times are of this machine, under whatever load it had."
    )
    write_section(PAGE, SECTION, "What each rung gives", f"{note}\n\n" + "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = [*NETS, *HARD]
    parser.add_argument("--nets", nargs="*", default=known, choices=known)
    arguments = parser.parse_args()
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        os.environ["DMS_FILE_ROOTS"] = directory
        dataset = write_dataset(root / "data.npz", CLIPS, 777)
        for name in arguments.nets or known:
            (root / name).mkdir()
            stages = Stages(root / name)
            os.link(dataset, stages.root / "data.npz")
            found[name] = []
            for line in rows(name, stages, stages.root / "data.npz"):
                found[name].append(line)
                write(found)


if __name__ == "__main__":
    main()
