"""Check and strip the program (model.json) of a `.pt2` archive. Pure: works on parsed JSON."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ..api.errors import ModelInvalid, ModelShapeMismatch

_OPERATOR = re.compile(r"torch\.ops\.(aten|prims)\.\w+\.\w+|_operator\.getitem")
_TOUCHES_FILES = ("torch.ops.aten.from_file.", "torch.ops.aten.save.")
"""The two aten operators that open a file by name."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,255}|")
_DOTTED = re.compile(r"[\w.]{0,512}")
_PLAIN_NAMES = {"name": _IDENTIFIER, "parameter_name": _DOTTED, "buffer_name": _DOTTED, "tensor_constant_name": _DOTTED}
_FORBIDDEN = {
    "as_graph": "a subgraph (control flow or torch.no_grad inside forward)",
    "as_operator": "an operator as argument",
    "as_custom_obj": "a custom object",
    "custom_obj": "a custom object",
    "token": "an effect token",
}
_CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
_VERIFIERS = {"TRAINING", "ATEN"}


def check_program(program: dict[str, Any]) -> None:
    """Strip guards and metadata from a program in place and refuse whatever is not plain.

    Raises ModelInvalid, ModelShapeMismatch (dynamic axes); KeyError or TypeError where it is no program.
    """
    graph = program["graph_module"]["graph"]
    _refuse_dynamic_axes(graph, _user_inputs(program))
    _strip(program)
    for key, value in _items(program):
        _check_item(key, value)
    for node in graph["nodes"]:
        _check_operator(node["target"])
        _refuse_training_mode(node)
    if not set(program["verifiers"]) <= _VERIFIERS:
        raise ModelInvalid(f"the .pt2 program has an unknown dialect {program['verifiers']}", hint="Export it again")


def _user_inputs(program: dict[str, Any]) -> list[str]:
    specs = program["graph_module"]["signature"]["input_specs"]
    arguments = [spec["user_input"]["arg"] for spec in specs if "user_input" in spec]
    if not all("as_tensor" in argument for argument in arguments):
        raise ModelInvalid("the model takes inputs that are not tensors", hint="Let forward take tensors only")
    return [argument["as_tensor"]["name"] for argument in arguments]


def _refuse_dynamic_axes(graph: dict[str, Any], inputs: list[str]) -> None:
    dynamic = [
        f"axis {axis} of {name}"
        for name in inputs
        for axis, size in enumerate(graph["tensor_values"][name]["sizes"])
        if "as_int" not in size
    ]
    if dynamic:
        raise ModelShapeMismatch(
            f"the model has dynamic axes ({', '.join(dynamic)}), and NPUs need static shapes",
            hint="Export without dynamic_shapes, with batch 1",
        )


def _strip(program: dict[str, Any]) -> None:
    """Drop what a static graph does not need and torch would evaluate, import or write into source code."""
    module = program["graph_module"]
    program["guards_code"] = []
    module["metadata"] = {}
    module["module_call_graph"] = [entry for entry in module["module_call_graph"] if entry["fqn"] == ""]
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}
    for entry in module["module_call_graph"]:
        _check_call_signature(entry["signature"])
    if program["range_constraints"] or module.get("treespec_namedtuple_fields"):
        raise ModelInvalid("the .pt2 program uses shape constraints or named tuples", hint="Export plain tensors")


def _check_call_signature(signature: dict[str, Any]) -> None:
    for spec in ("in_spec", "out_spec"):
        for key, value in _items(json.loads(signature[spec])):
            if key == "type" and value not in _CONTAINERS:
                raise ModelInvalid(f"the model takes or gives a {value}", hint="Use tensors, tuples, lists and dicts")
    for name in signature.get("forward_arg_names") or []:
        _check_item("name", name)


def _check_item(key: str, value: Any) -> None:
    if key in _FORBIDDEN and value:
        raise ModelInvalid(f"the .pt2 program holds {_FORBIDDEN[key]}", hint="Export a plain graph of tensor operators")
    if key == "expr_str":
        raise ModelShapeMismatch("the .pt2 program computes with symbolic shapes", hint="Export with static shapes")
    if key in _PLAIN_NAMES and not (isinstance(value, str) and _PLAIN_NAMES[key].fullmatch(value)):
        raise ModelInvalid(f"the .pt2 program holds the odd name {str(value)[:60]!r}", hint="Use Python identifiers")


def _check_operator(target: str) -> None:
    if not _OPERATOR.fullmatch(target) or target.startswith(_TOUCHES_FILES):
        raise ModelInvalid(
            f"the .pt2 program calls {target[:80]}, which is not a plain tensor operator",
            hint="Use operators of torch.ops.aten only (custom operators: export to ONNX yourself)",
        )


def _refuse_training_mode(node: dict[str, Any]) -> None:
    # batch_norm's `training` and dropout's `train`: torch exports both as they are, and the scores would be noise
    for argument in node["inputs"]:
        if argument["name"] in ("training", "train") and argument["arg"].get("as_bool"):
            raise ModelInvalid(
                f"the model was exported in training mode ({node['target']})", hint="Call model.eval() before exporting"
            )


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value) at any depth."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, list):
            pending.extend(current)
        elif isinstance(current, dict):
            yield from current.items()
            pending.extend(current.values())
