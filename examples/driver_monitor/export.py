"""Write the net as a `torch.export` program (.pt2) or as ONNX, batch 1, `frames` in and `logits` out."""

import argparse
from pathlib import Path

import torch
from torch.export import ExportedProgram

from driver_monitor.behaviour import FRAMES
from driver_monitor.nets import NETS, Monitor

OPSET = 20


def export_program(net: Monitor) -> ExportedProgram:
    """Return the program of `net` for the static input `frames` [1, 8, 3, size, size]."""
    example = torch.zeros(1, FRAMES, 3, net.size, net.size)
    program = torch.export.export(net.eval(), (example,))
    _name_output(program, "logits")
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names the folders of the machine that exported
    return program


def _name_output(program: ExportedProgram, name: str) -> None:
    """Give the only output its name, in place of that of the last operator."""
    (output,) = program.graph.output_node().args[0]
    (specification,) = program.graph_signature.output_specs
    output.name = name
    specification.arg.name = name


def save_program(net: Monitor, path: Path) -> Path:
    """Write the program of `net` as .pt2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.export.save(export_program(net), path)
    return path


def save_onnx(program: ExportedProgram, path: Path) -> Path:
    """Write a program as ONNX of opset 20 with its weights inside; the exporter must be told the output's name.

    Raises RuntimeError when the exporter leaves another opset, which it does without an error for some.
    """
    names = [str(name) for name in program.graph_signature.user_outputs]
    exported = torch.onnx.export(
        program, dynamo=True, opset_version=OPSET, output_names=names, external_data=False, verbose=False
    )
    if exported is None or exported.model.opset_imports[""] != OPSET:
        raise RuntimeError(f"the exporter did not write ONNX of opset {OPSET}")
    exported.save(path)
    return path


def main() -> None:
    """Write a program as ONNX, or with --full-size a big net with random weights as .pt2 or .onnx."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--program", type=Path, help="a .pt2 to convert")
    source.add_argument("--full-size", choices=NETS, help="a net at 224x224 with random weights, for benchmarks")
    parser.add_argument("--output", type=Path, required=True, help="ends in .pt2 or .onnx")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.full_size:
        program = export_program(NETS[arguments.full_size].full_size())
    else:
        program = torch.export.load(arguments.program)
    if arguments.output.suffix == ".onnx":
        save_onnx(program, arguments.output)
    else:
        torch.export.save(program, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
