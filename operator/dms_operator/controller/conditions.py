"""status.conditions after kstatus: Ready always, Reconciling and Stalled only while True, one per milestone.

A condition's lastTransitionTime changes with its status alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ..api import reasons
from ..api.status import Condition, StageStatus, TargetStatus
from .text import clip, timestamp

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Finding:
    """A condition without its bookkeeping."""

    type: str
    status: Truth
    reason: str
    message: str = ""


def merged(old: Iterable[Condition], findings: Iterable[Finding], generation: int, now: datetime) -> list[Condition]:
    """Findings as conditions; a condition that is not found any more goes."""
    before = {condition.type: condition for condition in old}
    return [_condition(finding, before.get(finding.type), generation, now) for finding in findings]


def _condition(finding: Finding, before: Condition | None, generation: int, now: datetime) -> Condition:
    same = before is not None and before.status == finding.status
    return Condition(
        type=finding.type,
        status=finding.status,
        reason=clip(finding.reason, 128),
        message=clip(finding.message, 4096),
        last_transition_time=before.last_transition_time if before and same else timestamp(now),
        observed_generation=generation,
    )


@dataclass(frozen=True)
class Outlook:
    """How the deployment as a whole stands."""

    kind: Literal["Ready", "Working", "Failed", "Suspended"]
    reason: str
    message: str


def overall(outlook: Outlook) -> list[Finding]:
    """Ready, and Reconciling or Stalled."""
    ready = Finding(reasons.READY, "True" if outlook.kind == "Ready" else "False", outlook.reason, outlook.message)
    extra = {"Working": reasons.RECONCILING, "Failed": reasons.STALLED}.get(outlook.kind)
    return [ready, *([Finding(extra, "True", outlook.reason, outlook.message)] if extra else [])]


def milestones(stages: list[StageStatus], targets: list[TargetStatus]) -> list[Finding]:
    """ModelResolved, Quantized, Converted, BudgetMet: Unknown until decided."""
    found = [
        _model_resolved(stages),
        _milestone(reasons.QUANTIZED, targets, [_quantized(target) for target in targets]),
        _milestone(reasons.CONVERTED, targets, [_converted(target) for target in targets]),
        _milestone(reasons.BUDGET_MET, targets, [target.state == "Ready" for target in targets]),
    ]
    return list(_told_once(found))


def _told_once(findings: list[Finding]) -> Iterator[Finding]:
    """What keeps a milestone from being reached keeps the later ones as well: those point to it."""
    told: dict[str, str] = {}
    for finding in findings:
        first = told.setdefault(finding.message, finding.type) if finding.status == "False" else finding.type
        yield finding if first == finding.type else replace(finding, message=f"see {first}")


def _model_resolved(stages: list[StageStatus]) -> Finding:
    stage = next((stage for stage in stages if stage.stage == "resolve"), None)
    if stage is None or stage.state in ("Pending", "Running"):
        return Finding(reasons.MODEL_RESOLVED, "Unknown", reasons.PROGRESSING)
    if stage.state == "Failed":
        return Finding(reasons.MODEL_RESOLVED, "False", stage.reason, stage.message)
    return Finding(reasons.MODEL_RESOLVED, "True", reasons.SUCCEEDED)


def _gate_passed(target: TargetStatus, name: str) -> bool:
    return any(
        gate.name == name and gate.outcome == "Pass" for candidate in target.candidates for gate in candidate.gates
    )


def _quantized(target: TargetStatus) -> bool:
    return _gate_passed(target, "accuracy")


def _converted(target: TargetStatus) -> bool:
    return _gate_passed(target, "delegation")


def _milestone(kind: str, targets: list[TargetStatus], reached: list[bool]) -> Finding:
    """True when every target reached it; False when one cannot any more."""
    if all(reached):
        return Finding(kind, "True", reasons.BUDGET_MET_REASON if kind == reasons.BUDGET_MET else reasons.SUCCEEDED)
    lost = [target for target, there in zip(targets, reached, strict=True) if not there and target.state == "Failed"]
    if lost:
        return Finding(kind, "False", lost[0].reason or reasons.FAILED, _named(lost, len(targets)))
    return Finding(kind, "Unknown", reasons.PROGRESSING)


def _named(lost: list[TargetStatus], total: int) -> str:
    """One cause that all targets share is told once and without names."""
    causes = {target.message for target in lost}
    if len(causes) == 1 and len(lost) == total:
        return causes.pop()
    return "; ".join(f"{target.name}: {target.message}" for target in lost)
