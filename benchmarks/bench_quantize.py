"""Static quantization of ResNet-18 at 224x224 beside ONNX Runtime's own quantizer and Microsoft Olive's, in one run.

Each figure is that of a fresh process. Rounds are interleaved, so that all meet the same load; the fastest time and the
largest memory of each count. Time is from the prepared float file to the written QDQ file (plain inference: from the
file to the last output); memory is the peak resident set of the whole process; the error is that of the written file's
outputs, as a share of the float outputs' spread. `python benchmarks/bench_quantize.py`

Olive is no dependency of this project: `--olive PYTHON`, or `make bench-quantize OLIVE=PYTHON`, names the Python of an
environment that has it (`pip install olive-ai==0.13.0 requests` beside the pins of constraints.txt); without it, it is
left out.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "examples")]

SHAPE = (1, 3, 224, 224)
CLIP = (1, 8, 3, 224, 224)
OURS = ("minmax", "percentile", "mse", "entropy")
THEIRS = ("MinMax", "Percentile", "Entropy")
OLIVES = ("MinMax", "Percentile", "Entropy")
UNSEEN = range(10_000, 10_016)
"""Seeds of the samples that tell the error; calibration counts from 0."""
Run = Callable[[Path, Path, int], None]


def feeds(samples: int, shape: tuple[int, ...] = SHAPE) -> Iterator[dict[str, Any]]:
    return (feed(sample, shape) for sample in range(samples))


def feed(seed: int, shape: tuple[int, ...] = SHAPE) -> dict[str, Any]:
    import numpy as np

    return {"image": np.random.default_rng(seed).random(shape, np.float32)}


def prepare(directory: Path, samples: int) -> None:
    """ResNet-18 for single images, and the driver monitor for clips, with seeded random weights; a dataset of clips."""
    import numpy as np
    import torch

    from driver_monitor.network import full_size, resnet18

    torch.manual_seed(0)
    backbone, features = resnet18(1.0)
    net = torch.nn.Sequential(backbone, torch.nn.Flatten(), torch.nn.Linear(features, 1000))
    _export(net, SHAPE, directory / "image.onnx")
    _export(full_size(), CLIP, directory / "clip.onnx")
    np.savez(directory / "clip.npz", image=np.concatenate([each["image"] for each in feeds(samples, CLIP)]))


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


def calibration(method: Any) -> Run:
    def run(model: Path, _: Path, samples: int) -> None:
        from dms_operator.pipeline.calibration import calibrate
        from dms_operator.pipeline.progress import silent

        calibrate(model, feeds(samples), samples, method, 8, silent)

    return run


def calibration_on_clips(model: Path, _: Path, samples: int) -> None:
    """As the quantize stage does it: from a dataset in a file."""
    from dms_operator.api.stages import TensorSpec
    from dms_operator.pipeline.calibration import calibrate
    from dms_operator.pipeline.dataset import load_dataset
    from dms_operator.pipeline.progress import silent

    spec = TensorSpec(name="image", shape=list(CLIP))
    dataset = load_dataset(model.with_suffix(".npz"), [spec], 1 << 32, labels_required=False)
    calibrate(model, map(dataset.feed, range(samples)), samples, "mse", 8, silent)


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
        from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

        class Reader:
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


def olive(method: str) -> Run:
    """Olive's pass, told the same scheme; the model is prepared already."""

    def run(model: Path, target: Path, samples: int) -> None:
        from olive.data.config import DataComponentConfig, DataConfig
        from olive.data.registry import Registry
        from olive.hardware.accelerator import DEFAULT_CPU_ACCELERATOR
        from olive.model import ONNXModelHandler
        from olive.passes.olive_pass import create_pass_from_dict
        from olive.passes.onnx.quantization import OnnxStaticQuantization

        Registry.register_dataset("bench")(lambda **_: samples)
        Registry.register_pre_process("bench")(lambda dataset, **_: dataset)
        Registry.register_dataloader("bench")(lambda dataset, **_: ((each, None) for each in feeds(dataset)))
        part = DataComponentConfig(type="bench")
        data = DataConfig(name="bench", load_dataset_config=part, pre_process_data_config=part, dataloader_config=part)
        settings = {
            "data_config": data,
            "calibrate_method": method,
            "quant_preprocess": False,
            "per_channel": True,
            "activation_type": "uint8",
            "precision": "int8",
        }
        quantize = create_pass_from_dict(
            OnnxStaticQuantization, settings, disable_search=True, accelerator_spec=DEFAULT_CPU_ACCELERATOR
        )
        made = quantize.run(ONNXModelHandler(str(model)), str(target.with_suffix("")))
        shutil.copyfile(made.model_path, target)

    return run


def output_error(model: Path, target: Path) -> float | None:
    """Root mean square of what quantization changes in the outputs, as a share of their spread."""
    if not target.is_file():
        return None
    import numpy as np
    import onnxruntime

    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (model, target)]
    exact, found = (np.stack([session.run(None, feed(seed))[0] for seed in UNSEEN]) for session in sessions)
    return float(np.sqrt(np.mean((found - exact) ** 2)) / exact.std())


WITHOUT_QUANTIZER: dict[str, Run] = {
    "plain inference": inference,
    **{f"our calibration alone, {method}": calibration(method) for method in OURS},
}
CLIPS = "our calibration alone, mse, clips of 8 frames from a file"
RUNS: dict[str, Run] = {
    **WITHOUT_QUANTIZER,
    **{f"ours, {method}": ours(method) for method in OURS},
    **{f"onnxruntime, {method}": theirs(method) for method in THEIRS},
}
OF_OLIVE: dict[str, Run] = {f"Olive, {method}": olive(method) for method in OLIVES}


@dataclass(frozen=True)
class Figure:
    """What one process took, and the error of what it wrote."""

    seconds: float
    mb: float
    error: float | None = None

    def joined(self, other: "Figure") -> "Figure":
        return Figure(min(self.seconds, other.seconds), max(self.mb, other.mb), self.error)


def child(name: str, model: Path, target: Path, samples: int) -> None:
    """Run one and print its figure; libraries are imported before the clock starts."""
    import onnxruntime  # noqa: F401

    if name in OF_OLIVE:
        import olive.passes.onnx.quantization  # noqa: F401
    elif name not in WITHOUT_QUANTIZER and name != CLIPS:
        import dms_operator.pipeline.quantizer  # noqa: F401
    started = time.perf_counter()
    runs = {**RUNS, **OF_OLIVE, CLIPS: calibration_on_clips}
    runs[name](model, target, samples)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Figure(seconds, peak, output_error(model, target)))))


def measure(model: Path, samples: int, rounds: int, olive_python: str) -> dict[str, Figure]:
    """Fastest time and largest memory of each."""
    best: dict[str, Figure] = {}
    pythons = dict.fromkeys(RUNS, sys.executable) | (dict.fromkeys(OF_OLIVE, olive_python) if olive_python else {})
    for number in range(rounds):
        for name, python in pythons.items():
            found = in_fresh_process(name, model / "image.onnx", samples, python)
            best[name] = found.joined(best.get(name, found))
            print(f"round {number + 1}/{rounds}  {name:36} {found.seconds:6.2f} s {found.mb:6.0f} MB", flush=True)
    best[CLIPS] = in_fresh_process(CLIPS, model / "clip.onnx", samples, sys.executable)
    return best


def version_of_olive(python: str) -> str:
    """`olive-ai` and its version in that Python's environment; empty without one."""
    if not python:
        return ""
    command = [python, "-c", "import importlib.metadata as m; print('olive-ai', m.version('olive-ai'))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def in_fresh_process(name: str, model: Path, samples: int, python: str) -> Figure:
    command = [python, __file__, "--child", name, "--model", str(model), "--samples", str(samples)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return Figure(**json.loads(answer))


def table(best: dict[str, Figure], samples: int, olive_version: str) -> str:
    theirs, plain = best["onnxruntime, MinMax"], best["plain inference"].mb
    lines = [
        f"ResNet-18, 1x3x224x224, {samples} samples, w8a8 for the HTP, `python benchmarks/bench_quantize.py`.",
        "",
        "| | seconds | / onnxruntime MinMax | peak MB | / plain inference | output error | / onnxruntime MinMax |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {found.seconds:.2f} | {_ratio(name, found.seconds / theirs.seconds)} | {found.mb:.0f} | "
        f"{_ratio(name, found.mb / plain)} | {_error(found, theirs)} |"
        for name, found in best.items()
    ]
    slowest = max(best[f"ours, {method}"].seconds for method in OURS) / theirs.seconds
    largest = max(best[f"our calibration alone, {method}"].mb for method in OURS) / plain
    whole = max(best[f"ours, {method}"].mb for method in OURS) / plain
    inexact = max(best[f"ours, {method}"].error or 0.0 for method in OURS) / (theirs.error or 1.0)
    lines += [
        "",
        f"Aims: every method in at most 1.0 of the time of onnxruntime's MinMax (worst here {slowest:.2f}); "
        f"calibration in at most 1.3 of the memory of plain inference (worst here {largest:.2f}, and {whole:.2f} with "
        f"the writing of the quantized file); {samples} clips of 8 frames below 2048 MB (here {best[CLIPS].mb:.0f}). "
        f"Largest error of ours: {inexact:.2f} of that of onnxruntime's MinMax, on random weights.",
    ]
    with_torch = "Its memory includes torch, which it imports; ours and onnxruntime's tools are kept from that."
    lines += ["", f"Olive is {olive_version}. {with_torch}" if olive_version else "Olive was not there: see `--olive`."]
    return "\n".join(lines)


def _error(found: Figure, theirs: Figure) -> str:
    """The last two cells."""
    if found.error is None or theirs.error is None:
        return " | "
    return f"{found.error:.2%} | {found.error / theirs.error:.2f}"


def _ratio(name: str, value: float) -> str:
    """Clips are another model: its ratios would say nothing."""
    return "" if name == CLIPS else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--olive", default=os.environ.get("OLIVE", ""), help="Python of an environment that has olive-ai"
    )
    parser.add_argument("--child")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        if arguments.child == "prepare":
            prepare(arguments.model, arguments.samples)
            return
        with tempfile.TemporaryDirectory() as name:
            child(arguments.child, arguments.model, Path(name) / "model.onnx", arguments.samples)
        return
    from report import write_section

    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        command = [
            sys.executable,
            __file__,
            "--child",
            "prepare",
            "--model",
            str(models),
            "--samples",
            str(arguments.samples),
        ]
        subprocess.run(command, check=True, capture_output=True)
        best = measure(models, arguments.samples, arguments.rounds, arguments.olive)
    text = table(best, arguments.samples, version_of_olive(arguments.olive))
    print(text)
    write_section(ROOT / "docs" / "performance.md", "quantize", "Quantization", text)


if __name__ == "__main__":
    main()
