"""Delegation: every node of the graph runs on the NPU, or the model is not what its latency claims."""

from ...api.stages import CompiledFacts
from ...api.status import GateStatus

CPU_TOOLCHAIN = "onnxruntime"
"""The one toolchain whose target is the CPU itself."""


def delegation_gate(compiled: CompiledFacts) -> GateStatus:
    """Hold the nodes on the NPU against all nodes; a CPU target has nothing to delegate."""
    npu, total = compiled.delegation.npu, compiled.delegation.total
    if compiled.toolchain == CPU_TOOLCHAIN:
        return GateStatus(name="delegation", outcome="Pass", message="runs on the CPU by design")
    if total < 1:
        return GateStatus(name="delegation", outcome="Inconclusive", message="the converter counted no nodes")
    left = ", ".join(compiled.delegation.left_on_cpu)
    message = f"{npu} of {total} nodes run on the NPU" + (f", left on the CPU: {left}" if left else "")
    return GateStatus(
        name="delegation",
        outcome="Pass" if npu == total and not left else "Fail",
        value=f"{npu}/{total}",
        limit=f"{total}/{total}",
        message=message[:512],
    )
