"""The program to train: read safely, batch norms folded, and as one flat graph of static shapes."""

import warnings
from pathlib import Path

import torch
from torch.fx import GraphModule

from ...api.errors import ModelInvalid, QuantizationFailed
from ..formats import model_format
from ..pt2 import rewrite_safely

_HALVES = (torch.float16, torch.bfloat16)
_WORDS = {"onnx": "ONNX", "torchscript": "TorchScript"}


def load_program(source: Path, safe: Path, limit_bytes: int) -> torch.export.ExportedProgram:
    """Read a `.pt2` file through the safe reader, which writes `safe`.

    Raises QuantizationFailed for models that are no PyTorch program in float32, ModelInvalid.
    """
    found = model_format(source, "auto", limit_bytes)
    if found != "pt2":
        raise QuantizationFailed(
            f"quantization-aware training needs the PyTorch program (torch.export), but the model is {_WORDS[found]}",
            hint="Give the .pt2 file of torch.export.save, or use method: static",
        )
    rewrite_safely(source, safe)
    try:
        program = torch.export.load(safe)
    except Exception as error:
        raise ModelInvalid(
            f"torch {torch.__version__} cannot read the .pt2 program ({str(error)[:200]})", hint="Save it again"
        ) from error
    halves = sorted(name for name, weight in program.state_dict.items() if weight.dtype in _HALVES)
    if halves:
        raise QuantizationFailed(
            f"quantization-aware training needs float32 weights, but {halves[0]} is in half precision",
            hint="Export the program before .half(), or use method: static",
        )
    return program


def example_inputs(program: torch.export.ExportedProgram) -> tuple[torch.Tensor, ...]:
    """Zeros in the shapes and types of the program's inputs."""
    names = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return tuple(torch.zeros(tuple(value.shape), dtype=value.dtype) for value in values)


def trainable(program: torch.export.ExportedProgram) -> GraphModule:
    """The program as a graph whose convolutions have taken up their batch norms.

    The ONNX exporter folds them as well, so these are the very weights that are deployed. In training mode a batch
    norm would use the batch's own statistics, which hides badly ranged channels: a loss of 0.02 came with an accuracy
    of chance in the converted net (reference measurements).
    """
    # torchao's own fold, which prepare_pt2e uses; the fold of prepare_qat_pt2e keeps the batch's statistics
    from torchao.quantization.pt2e.utils import _fuse_conv_bn_

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = program.module(check_guards=False)
        _fuse_conv_bn_(module)
        _split_hardswish(module)
        module.graph.eliminate_dead_code()
        module.recompile()
        folded = torch.export.export(module, example_inputs(program)).module(check_guards=False)
    assert isinstance(folded, GraphModule)
    for parameter in used_parameters(folded).values():
        parameter.requires_grad_()  # torchao's fold makes biases that do not
    return folded


def _split_hardswish(module: GraphModule) -> None:
    """Write HardSwish as onnxruntime does before it quantizes, so that its inner tensor is trained, too."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target in (torch.ops.aten.hardswish.default, torch.ops.aten.hardswish_.default):
            with graph.inserting_before(node):
                gate = graph.call_function(torch.ops.aten.hardsigmoid.default, (node.args[0],))
                product = graph.call_function(torch.ops.aten.mul.Tensor, (node.args[0], gate))
            node.replace_all_uses_with(product)
            graph.erase_node(node)


def used_parameters(module: GraphModule) -> dict[str, torch.nn.Parameter]:
    """Parameters that an operator reads, by name: folded batch norms leave theirs behind."""
    names = [str(node.target) for node in module.graph.nodes if node.op == "get_attr" and node.users]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    found: dict[int, tuple[str, torch.nn.Parameter]] = {}
    for name in names:
        if name in parameters and parameters[name].is_floating_point():
            found.setdefault(id(parameters[name]), (name, parameters[name]))
    return dict(found.values())
