"""How much of a model runs on the NPU: the model's compute nodes against those left outside EPContext nodes."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from ...api.cpu_fallback import ALLOW_CPU_FALLBACK
from ...api.errors import UnsupportedOperators
from ...api.stages import Delegation

QUANTIZATION = frozenset({"QuantizeLinear", "DequantizeLinear"})
NOT_COMPUTE = QUANTIZATION | {"Constant"}
"""Operator types that a compiler folds away; they are not counted."""
_CONTEXT = "EPContext"
_REFUSALS = re.compile(r"Unsupported nodes in QNN EP: (.*)")
_REFUSED_NODE = re.compile(r"\{ name: (.*?), type: (.*?) \}")
_VALIDATION = re.compile(r"failed for node `(.+?)` of type `(.+?)` with error code (\d+)")
_NO_FALLBACK = "fallback to CPU EP has been explicitly disabled"
_SHOWN_NODES = 10

ADVICE = {
    "LayerNormalization": "quantize its scale as uint8 instead of per-channel int8 (the scheme of toolchain qnn does)",
    "GRU": "use an LSTM or a Transformer encoder instead",
    "Erf": "export GELU as one Gelu node (opset 20), or use Relu or HardSwish",
    "Mish": "use HardSwish or Relu instead",
    "Softplus": "use Relu instead",
    "NonMaxSuppression": "cut the post-processing out of the graph",
    "If": "export the one branch that inference takes",
    "Loop": "unroll the loop before export",
}


@dataclass(frozen=True)
class Node:
    """One node as messages name it."""

    name: str
    op_type: str

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.op_type})"


@dataclass(frozen=True)
class Split:
    """What a context model holds: NPU partitions, and nodes left on the CPU."""

    partitions: int
    left: tuple[Node, ...]

    @property
    def whole(self) -> bool:
        """Whether the graph is one NPU partition and nothing else."""
        return self.partitions == 1 and not self.left


def compute_nodes(model: onnx.ModelProto) -> list[Node]:
    """The nodes that compute: constants and (de)quantization, which a compiler folds away, are not counted."""
    return [Node(node.name, node.op_type) for node in model.graph.node if node.op_type not in NOT_COMPUTE]


def split_of(context_model: onnx.ModelProto) -> Split:
    """Read a context model.

    (De)quantization on the CPU at graph inputs and outputs is no fallback, and inside the graph it belongs to the
    CPU node that it serves; where it alone parts two NPU partitions, it counts itself.
    """
    graph = context_model.graph
    partitions = sum(node.op_type == _CONTEXT for node in graph.node)
    left = [Node(node.name, node.op_type) for node in graph.node if node.op_type not in NOT_COMPUTE | {_CONTEXT}]
    if partitions > 1 and not left:
        left = [Node(node.name, node.op_type) for node in _inner_quantization(graph)]
    return Split(partitions, tuple(left))


def delegation_of(model: onnx.ModelProto, split: Split) -> Delegation:
    """Count the model's compute nodes on the NPU."""
    left = Counter(node.op_type for node in split.left)
    inner = sum(count for op_type, count in left.items() if op_type in QUANTIZATION)
    total = len(compute_nodes(model)) + inner
    # a compiler pass may leave more nodes than there were; the NPU share is then nothing, not negative
    npu = max(0, total - len(split.left)) if split.partitions else 0
    return Delegation(npu=npu, total=total, left_on_cpu=_by_type(left))


def refused_nodes(log: Iterable[str]) -> list[Node]:
    """The nodes that QNN's log names as unsupported, each once; its own half-made partitions are not nodes."""
    lines = [match[1] for line in log if (match := _REFUSALS.search(line))]
    nodes = [Node(name, op_type) for line in lines for name, op_type in _REFUSED_NODE.findall(line)]
    return list(dict.fromkeys(node for node in nodes if not node.op_type.startswith("QNNExecutionProvider")))


def nothing_supported(log: Iterable[str]) -> bool:
    """Whether ONNX Runtime refused only for the CPU's part: QNN names no node when it takes none at all."""
    errors = [line for line in log if "[E:" in line]
    return bool(errors) and all(_NO_FALLBACK in line for line in errors)


def unsupported(
    nodes: Iterable[Node], total: int, soc: str, log: Iterable[str], reasons: Iterable[str] = ()
) -> UnsupportedOperators:
    """The refusal of a model that would not run on the NPU as a whole: which nodes, QNN's reasons, what to try."""
    refused = list(nodes)
    shown = ", ".join(str(node) for node in refused[:_SHOWN_NODES])
    more = f" and {len(refused) - _SHOWN_NODES} more" if len(refused) > _SHOWN_NODES else ""
    message = f"{len(refused)} of {total} nodes cannot run on the {soc} NPU: {shown}{more}{_why(log, reasons)}"
    return UnsupportedOperators(message, hint=_hint(refused))


def _why(log: Iterable[str], reasons: Iterable[str]) -> str:
    codes = dict.fromkeys(match[2] + " error " + match[3] for line in log if (match := _VALIDATION.search(line)))
    found = [*codes, *(reason.rstrip(".") for reason in reasons)]
    return f"; QNN's reason: {', '.join(found[:3])}" if found else ""


def _hint(nodes: list[Node]) -> str:
    types = list(dict.fromkeys(node.op_type for node in nodes))
    advice = [f"{op_type}: {ADVICE[op_type]}" for op_type in types if op_type in ADVICE][:3]
    known = "Try: " + "; ".join(advice) if advice else "Try to replace these operators in the model"
    return f'{known}. Or accept a slow vehicle with the option {ALLOW_CPU_FALLBACK}: "true"'


def _by_type(left: Counter[str]) -> list[str]:
    return [f"{op_type} x{count}" for op_type, count in left.most_common(_SHOWN_NODES)]


def _inner_quantization(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    edge = {value.name for value in (*graph.input, *graph.output)} | {tensor.name for tensor in graph.initializer}
    quantization = (node for node in graph.node if node.op_type in QUANTIZATION)
    return [node for node in quantization if node.input[0] not in edge and node.output[0] not in edge]
