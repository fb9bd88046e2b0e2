"""Delegation: every node of the graph runs on the NPU, or the model is not what its latency claims."""

from collections.abc import Mapping

from ...api.cpu_fallback import ALLOW_CPU_FALLBACK, accepted_share
from ...api.stages import CompiledFacts
from ...api.status import GateStatus
from ..text import clip

CPU_TOOLCHAIN = "onnxruntime"
"""The one toolchain whose target is the CPU itself."""


def delegation_gate(compiled: CompiledFacts, options: Mapping[str, str]) -> GateStatus:
    """Hold the nodes on the NPU against all nodes; a CPU target has nothing to delegate.

    Nodes left on the CPU are a pass only where the target's options accept them, and the message says so.
    """
    npu, total = compiled.delegation.npu, compiled.delegation.total
    if compiled.toolchain == CPU_TOOLCHAIN:
        return GateStatus(name="delegation", outcome="Pass", message="runs on the CPU by design")
    if total < 1:
        return GateStatus(name="delegation", outcome="Inconclusive", message="the converter counted no nodes")
    operators = compiled.delegation.left_on_cpu
    left = max(total - npu, len(operators))
    message = f"{npu} of {total} nodes run on the NPU"
    if operators:
        message += f", left on the CPU: {', '.join(operators)}"
    accepted = left <= total * accepted_share(options.get(ALLOW_CPU_FALLBACK, "false"))
    if left and accepted:
        message += f" (accepted by option {ALLOW_CPU_FALLBACK})"
    return GateStatus(
        name="delegation",
        outcome="Pass" if accepted else "Fail",
        value=f"{npu}/{total}",
        limit=f"{total}/{total}",
        message=clip(message, 512),
    )
