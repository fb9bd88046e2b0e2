# ruff: noqa: E402 - the paths come first
"""The example's nets, each as fp16, w8a8, w8a16, w4a8 and w4a16, for SA8255: delegation, latency, accuracy on target.

`python benchmarks/table_qualcomm.py` (or `make table-qualcomm`) writes the table into docs/qualcomm.md.
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
from dms_operator.controller.rungs import Rung, rungs
from dms_operator.pipeline.evaluate import Reference
from dms_operator.pipeline.inputs import load_samples
from dms_operator.toolchains.qnn.compare import HEADER, Row, cells, compare
from driver_monitor.dataset import write_dataset

BOARD = "sa8255"
SEED = (45.0, 12.0)
"""The seed's figures for QCS8255, FP32 and INT8, in milliseconds."""


def forms() -> dict[str, list[Rung]]:
    """The rungs of the ladder by the form that they give; training left out, which takes minutes."""
    int8 = [rung for rung in rungs("int8", QuantizationSpec(), "qnn") if not (rung.static and rung.static.mixed)]
    int4 = rungs("int4", QuantizationSpec(), "qnn")
    return {
        "fp16": rungs("fp16", QuantizationSpec(), "qnn"),
        "w8a8": [rung for rung in int8 if not rung.widened],
        "w8a16": [rung for rung in int8 if rung.widened],
        "w4a8": [rung for rung in int4 if rung.narrow],
        "w4a16": [rung for rung in int4 if not rung.narrow],
    }


def rows(name: str, net: Net, samples: int) -> Iterator[tuple[list[str], Row | None]]:
    """Cells of each form, and its figures; a form that does not compile has the compiler's reason in their place."""
    first: Row | None = None
    indices = Reference.load(net.stages.files(net.reference)).indices[:samples]
    dataset = load_samples(net.stages.files(net.resolved), 1 << 32, labels_required=True)
    assert dataset.labels is not None
    labels, feeds = [int(label) for label in dataset.labels[indices]], [dataset.feed(int(index)) for index in indices]
    for form, ladder in forms().items():
        rung, made = net.variant(ladder, "qnn")
        model = net.stages.files(made)["model.onnx"]
        assert made.variant is not None
        head = [TITLES[name], f"{form} ({rung.name('qnn')})", f"{made.variant.accuracy.value:.3f}"]
        try:
            row = compare(form, model, BOARD, feeds, labels)
        except DMSError as error:
            yield [*head, f"{error.reason}: {error}"], None
            continue
        first = first or row
        yield [*head, *cells(row, first)[1:]], row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--samples", type=int, default=48, help="clips on the simulator")
    arguments = parser.parse_args()
    header = ["net", "variant (rung)", f"top-1 on the host, {EVALUATE} clips", *HEADER[1:]]
    lines, ratios = [header, ["---"] * len(header)], []
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        os.environ["DMS_FILE_ROOTS"] = directory
        dataset = write_dataset(root / "data.npz", CALIBRATE + EVALUATE, 777)
        for name in arguments.nets:
            times: dict[str, int | None] = {}
            for line, row in rows(name, resolved(name, root, dataset), arguments.samples):
                print("|", " | ".join(line), "|", flush=True)
                lines.append(line)
                times |= {row.name: row.time_us} if row else {}
            ratios.append(_ratio(TITLES[name], times))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = f"{_note(arguments.samples)}\n\n{table}\n\n{_ratios(ratios)}"
    write_section(ROOT / "docs" / "qualcomm.md", "qualcomm-nets", "Three nets on SA8255", text)


def _ratio(title: str, times: dict[str, int | None]) -> str:
    fp16, int8 = times.get("fp16"), times.get("w8a8")
    ratio = f"{fp16 / int8:.2f}x" if fp16 and int8 else "-"
    return f"| {title} | {_ms(fp16)} | {_ms(int8)} | {ratio} |"


def _ms(microseconds: int | None) -> str:
    return f"{microseconds / 1000:.3f} ms" if microseconds else "-"


def _ratios(lines: list[str]) -> str:
    before, after = SEED
    return "\n".join(
        [
            "| from FP to INT8 on SA8255 | FP (here fp16) | INT8 | ratio |",
            "| --- | --- | --- | --- |",
            f"| the seed's figures (ResNet-18 + Transformer, provenance unknown) | {before:.0f} ms | {after:.0f} ms | "
            f"{before / after:.2f}x |",
            *lines,
        ]
    )


def _note(samples: int) -> str:
    lowest = round(samples / (samples + 1.96**2), 3)
    return textwrap.fill(
        f"`make table-qualcomm`. Each form is the ladder's first rung that loses at most {ACCEPTED_DROP:.0%} on "
        f"{EVALUATE} clips (else the one that loses least); {CALIBRATE} other clips calibrate. Latency is Qualcomm's "
        f'cost model (lowest to highest), provenance `simulated`; the columns from "top-1 on target" on are of '
        f"{samples} clips on the HTP's functional simulator, errors in the unit of the logits, target against the ONNX "
        f"model that was compiled. {samples} of {samples} right proves {lowest:.3f} and no more (Wilson, 95 %).",
        120,
    )


if __name__ == "__main__":
    main()
