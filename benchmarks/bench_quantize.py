"""Static quantization of ResNet-18 at 224x224: the streamed calibrator beside ONNX Runtime's own quantizer, in one run.

Each figure is that of a fresh process. Rounds are interleaved, so that all meet the same load; the fastest of each
counts. Time is from the prepared float file to the written QDQ file (plain inference: from the file to the last
output); memory is the peak resident set of the whole process. `python benchmarks/bench_quantize.py`
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "examples")]

SHAPE = (1, 3, 224, 224)
CLIP = (1, 8, 3, 224, 224)
OURS = ("minmax", "percentile", "mse", "entropy")
THEIRS = ("MinMax", "Percentile", "Entropy")
Run = Callable[[Path, Path, int], None]


def feeds(samples: int, shape: tuple[int, ...] = SHAPE) -> Iterator[dict[str, Any]]:
    import numpy as np

    for sample in range(samples):
        yield {"image": np.random.default_rng(sample).random(shape, np.float32)}


def prepare(directory: Path) -> None:
    """ResNet-18 for single images, and the driver monitor for clips, with seeded random weights."""
    import torch

    from driver_monitor.network import full_size, resnet18

    torch.manual_seed(0)
    backbone, features = resnet18(1.0)
    net = torch.nn.Sequential(backbone, torch.nn.Flatten(), torch.nn.Linear(features, 1000))
    _export(net, SHAPE, directory / "image.onnx")
    _export(full_size(), CLIP, directory / "clip.onnx")


def _export(net: Any, shape: tuple[int, ...], path: Path) -> None:
    import torch

    from dms_operator.pipeline.quantizer import prepare as prepared
    from dms_operator.pipeline.schemes import scheme_for

    exported = torch.onnx.export(
        net.eval(), (torch.zeros(shape),), dynamo=True, opset_version=20, input_names=["image"], verbose=False
    )
    assert exported is not None
    exported.save(path.with_suffix(".float.onnx"))
    prepared(path.with_suffix(".float.onnx"), path, scheme_for("qnn", "int8"))


def inference(model: Path, _: Path, samples: int) -> None:
    from dms_operator.pipeline.session import cpu_session, run_once

    session = cpu_session(model)
    for feed in feeds(samples):
        run_once(session, feed)


def calibration(method: Any, shape: tuple[int, ...] = SHAPE) -> Run:
    def run(model: Path, _: Path, samples: int) -> None:
        from dms_operator.pipeline.calibration import calibrate
        from dms_operator.pipeline.progress import silent

        calibrate(model, feeds(samples, shape), samples, method, 8, silent)

    return run


def ours(method: Any) -> Run:
    def run(model: Path, target: Path, samples: int) -> None:
        from dms_operator.pipeline.calibration import calibrate
        from dms_operator.pipeline.progress import silent
        from dms_operator.pipeline.quantizer import quantize
        from dms_operator.pipeline.schemes import scheme_for

        ranges = calibrate(model, feeds(samples), samples, method, 8, silent)
        quantize(model, target, scheme_for("qnn", "int8"), ranges, {})

    return run


def theirs(method: str) -> Run:
    def run(model: Path, target: Path, samples: int) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantType, quantize
        from onnxruntime.quantization.calibrate import CalibrationDataReader
        from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                self.feeds = feeds(samples)

            def get_next(self) -> Any:
                return next(self.feeds, None)

        config = get_qnn_qdq_config(
            model,
            Reader(),
            calibrate_method=CalibrationMethod[method],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        quantize(model, target, config)

    return run


WITHOUT_QUANTIZER: dict[str, Run] = {
    "plain inference": inference,
    **{f"our calibration alone, {method}": calibration(method) for method in OURS},
}
CLIPS = "our calibration alone, mse, clips of 8 frames"
RUNS: dict[str, Run] = {
    **WITHOUT_QUANTIZER,
    **{f"ours, {method}": ours(method) for method in OURS},
    **{f"onnxruntime, {method}": theirs(method) for method in THEIRS},
}


def child(name: str, model: Path, target: Path, samples: int) -> None:
    """Run one and print seconds and peak MB; libraries are imported before the clock starts."""
    import onnxruntime  # noqa: F401

    if name not in WITHOUT_QUANTIZER and name != CLIPS:
        import dms_operator.pipeline.quantizer  # noqa: F401
    started = time.perf_counter()
    runs = {**RUNS, CLIPS: calibration("mse", CLIP)}
    runs[name](model, target, samples)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measure(model: Path, samples: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Least seconds and peak MB of each."""
    best: dict[str, tuple[float, float]] = {}
    for number in range(rounds):
        for name in RUNS:
            found = in_fresh_process(name, model / "image.onnx", samples)
            known = best.get(name, found)
            best[name] = min(known[0], found[0]), min(known[1], found[1])
            print(f"round {number + 1}/{rounds}  {name:36} {found[0]:6.2f} s {found[1]:6.0f} MB", flush=True)
    best[CLIPS] = in_fresh_process(CLIPS, model / "clip.onnx", samples)
    return best


def in_fresh_process(name: str, model: Path, samples: int) -> tuple[float, float]:
    """Seconds and peak MB."""
    command = [sys.executable, __file__, "--child", name, "--model", str(model), "--samples", str(samples)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    found = json.loads(answer)
    return found["seconds"], found["mb"]


def table(best: dict[str, tuple[float, float]], samples: int) -> str:
    reference, plain = best["onnxruntime, MinMax"][0], best["plain inference"][1]
    lines = [
        f"ResNet-18, 1x3x224x224, {samples} samples, w8a8 for the HTP, `python benchmarks/bench_quantize.py`.",
        "",
        "| | seconds | / onnxruntime MinMax | peak MB | / plain inference |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {seconds:.2f} | {_ratio(name, seconds / reference)} | {megabytes:.0f} | "
        f"{_ratio(name, megabytes / plain)} |"
        for name, (seconds, megabytes) in best.items()
    ]
    clips = best[CLIPS][1]
    slowest = max(best[f"ours, {method}"][0] for method in OURS) / reference
    largest = max(best[f"our calibration alone, {method}"][1] for method in OURS) / plain
    lines += [
        "",
        f"Aims: every method in at most 1.0 of the time of onnxruntime's MinMax (worst here {slowest:.2f}); "
        f"calibration in at most 1.3 of the memory of plain inference (worst here {largest:.2f}); {samples} clips of "
        f"8 frames below 2048 MB (here {clips:.0f}). What quantizing takes above calibration is torch, which "
        "onnxruntime's tools import where it is installed, and their copies of the weights: both sides pay it.",
    ]
    return "\n".join(lines)


def _ratio(name: str, value: float) -> str:
    """Clips are another model: its ratios would say nothing."""
    return "" if name == CLIPS else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        if arguments.child == "prepare":
            prepare(arguments.model)
            return
        with tempfile.TemporaryDirectory() as name:
            child(arguments.child, arguments.model, Path(name) / "model.onnx", arguments.samples)
        return
    from report import write_section

    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        command = [sys.executable, __file__, "--child", "prepare", "--model", str(models)]
        subprocess.run(command, check=True, capture_output=True)
        text = table(measure(models, arguments.samples, arguments.rounds), arguments.samples)
    print(text)
    write_section(ROOT / "docs" / "performance.md", "quantize", "Quantization", text)


if __name__ == "__main__":
    main()
