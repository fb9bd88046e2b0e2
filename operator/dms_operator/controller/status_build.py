"""The whole status, put together from what was surveyed."""

from collections.abc import Mapping
from datetime import datetime

from ..api import reasons
from ..api.errors import InvalidSpec
from ..api.reasons import Phase
from ..api.spec import DeploymentSpec
from ..api.status import DeploymentStatus, StageStatus, TargetStatus
from . import conditions
from .conditions import Finding, Outlook
from .facts import retry_of
from .observation import Observed
from .outlook import outlook
from .phases import working_phase
from .proven import proven_revision
from .revision import Outcome, history, revision_digest, revisions
from .status_stages import bounded, stage_statuses
from .status_targets import resolved_model, target_status, variants
from .summary import summary
from .survey import Survey

_OUTCOMES: dict[str, Outcome] = {"Ready": "Ready", "Failed": "Failed"}


def built_status(
    observed: Observed, spec: DeploymentSpec, survey: Survey, started: Mapping[str, str], now: datetime
) -> DeploymentStatus:
    """Status of a valid deployment; `started` holds names of Jobs that this plan creates, by recipe digest."""
    old, generation = observed.status, observed.metadata.generation
    stages = stage_statuses(survey.steps, observed, started, now)
    targets = [target_status(each, spec) for each in survey.targets]
    made, model = variants(survey), resolved_model(survey)
    view = outlook(survey, stages, targets, spec.suspend)
    digest = revision_digest(model, targets) if model else None
    proven = proven_revision(digest, generation, targets, made) if digest else None
    return DeploymentStatus(
        observed_generation=generation,
        phase=_phase(view, stages, spec.suspend),
        conditions=conditions.merged(old.conditions, _findings(view, stages, targets, spec), generation, now),
        revision=revisions(old.revision, proven, rolls_out=spec.rollout is not None),
        summary=summary(spec, targets, made, view.message),
        model=model,
        variants=made,
        targets=targets,
        stages=bounded(stages),
        rollout=old.rollout,
        handled_retry=retry_of(observed) or None,
        history=history(old, generation, _OUTCOMES.get(view.kind), digest, view.message, survey.steps, now),
    )


def invalid_status(observed: Observed, error: InvalidSpec, now: datetime) -> DeploymentStatus:
    """Status of a deployment whose spec breaks today's rules: what was built stays told, nothing goes on."""
    old, generation = observed.status, observed.metadata.generation
    view = Outlook("Failed", reasons.INVALID_SPEC, str(error))
    kept = [each for each in old.conditions if each.type not in (reasons.READY, reasons.RECONCILING, reasons.STALLED)]
    found = conditions.merged(old.conditions, conditions.overall(view), generation, now)
    update = {
        "observed_generation": generation,
        "phase": "Failed",
        "conditions": [*found, *kept],
        "handled_retry": retry_of(observed) or None,
        "history": history(old, generation, "Failed", None, view.message, [stage.recipe for stage in old.stages], now),
    }
    return old.model_copy(update=update)


def _phase(view: Outlook, stages: list[StageStatus], suspended: bool) -> Phase:
    if suspended:
        return "Suspended"
    if view.kind == "Ready":
        return "Ready"
    return "Failed" if view.kind == "Failed" else working_phase(stages)


def _findings(
    view: Outlook, stages: list[StageStatus], targets: list[TargetStatus], spec: DeploymentSpec
) -> list[Finding]:
    found = [*conditions.overall(view), *conditions.milestones(stages, targets)]
    return [*found, conditions.rolled_out()] if spec.rollout else found
