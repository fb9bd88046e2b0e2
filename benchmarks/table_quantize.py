# ruff: noqa: E402 - the paths come first
"""Every rung of post-training quantization on the example's nets: accuracy, drop, size, time, simulated latency.

`python benchmarks/table_quantize.py --nets resnet18 skewed` writes the table into docs/quantization.md.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("operator", "examples", "tests")]

from report import write_section

from dms_operator.api.capabilities import Precision
from dms_operator.api.errors import DMSError
from dms_operator.api.spec import QuantizationSpec
from dms_operator.api.stages import QuantizeRecipe, StageResult
from dms_operator.controller.rungs import REFERENCE, Rung, rungs
from dms_operator.pipeline.progress import silent
from dms_operator.toolchains.qnn.toolchain import Qnn
from driver_monitor.dataset import write_dataset
from driver_monitor.nets import NETS
from pipeline.stages import Stages, succeeded

SAMPLES = {"calibration_samples": 64, "evaluation_samples": 300}
PRECISIONS: tuple[Precision, ...] = ("fp16", "int8", "int4")
HEADER = "| net | rung | scheme | top1 (95 %) | drop, points | MB | SA8255, cost model | made in |"


def program(name: str, directory: Path) -> Path:
    if name != "skewed":
        return Path(shutil.copy(NETS[name].program, directory))
    from model_fixtures.hard_models import skewed

    return skewed(directory / "skewed.pt2")


def rows(name: str, stages: Stages, dataset: Path) -> Iterator[str]:
    resolved = succeeded(stages.resolve(program(name, stages.root), dataset)).artifact
    assert resolved is not None
    reference = succeeded(stages.quantize(resolved.digest, **SAMPLES))
    assert reference.artifact is not None
    yield row(name, REFERENCE, reference, None)
    for rung in (rung for precision in PRECISIONS for rung in rungs(precision, QuantizationSpec(), "qnn")):
        recipe = QuantizeRecipe(
            image="table",
            resolved=resolved.digest,
            reference=reference.artifact.digest,
            precision=rung.precision,
            method=rung.method,
            calibration=rung.calibration,
            static=rung.static,
            toolchain="qnn",
            **SAMPLES,
        )
        result = succeeded(stages.run(recipe))
        yield row(name, rung, result, latency(stages, result))


def latency(stages: Stages, result: StageResult) -> str:
    """The cost model's median for SA8255, after real compilation."""
    toolchain = Qnn()
    with tempfile.TemporaryDirectory() as directory:
        try:
            toolchain.convert(stages.files(result)["model.onnx"], "sa8255", {}, Path(directory), silent)
        except DMSError as error:
            return error.reason
        facts = toolchain.cost(Path(directory))
    return f"{facts.p50.value * 1e6:.0f} us" if facts else "-"


def row(name: str, rung: Rung, result: StageResult, cost: str | None) -> str:
    facts = result.variant
    assert facts is not None
    score = facts.accuracy
    line = (
        f"| {name} | {rung.name('qnn')} | {facts.scheme} | {score.value:.3f} ({score.low:.3f} to {score.high:.3f}) | "
        f"{100 * facts.accuracy_drop:.1f} | {facts.size_bytes / 1e6:.2f} | {cost or 'not for the HTP'} | "
        f"{result.seconds:.0f} s |"
    )
    print(line, flush=True)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    trained = [name for name, net in NETS.items() if net.program.exists()]
    parser.add_argument("--nets", nargs="+", default=[*trained, "skewed"], choices=[*NETS, "skewed"])
    arguments = parser.parse_args()
    lines = [HEADER, "|" + "---|" * HEADER.count(" | ") + "---|"]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        os.environ["DMS_FILE_ROOTS"] = directory
        dataset = write_dataset(root / "data.npz", 364, 777)
        for name in arguments.nets:
            (root / name).mkdir()
            stages = Stages(root / name)
            os.link(dataset, stages.root / "data.npz")
            lines += rows(name, stages, stages.root / "data.npz")
    command = f"`python benchmarks/table_quantize.py --nets {' '.join(arguments.nets)}`"
    note = f"{command}, 64 clips calibrate, 300 others evaluate; times are of this machine, under whatever load it had."
    write_section(ROOT / "docs" / "quantization.md", "rungs", "What each rung gives", f"{note}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
