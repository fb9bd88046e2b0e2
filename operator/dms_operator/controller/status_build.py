"""The whole status, put together from what was surveyed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..api import reasons
from ..api.errors import InvalidSpec
from ..api.reasons import Phase
from ..api.rollout_status import Release
from ..api.spec import DeploymentSpec
from ..api.status import (
    DeploymentStatus,
    ProvenRevision,
    ResolvedModel,
    RevisionStatus,
    StageStatus,
    SummaryStatus,
    TargetStatus,
    VariantStatus,
)
from . import conditions
from .conditions import Finding, Outlook
from .facts import retry_of
from .observation import Observed
from .outlook import outlook
from .phases import working_phase
from .proven import proven_revision
from .releases import release_of, releases
from .revision import Outcome, history, revision_digest, revisions
from .rollout.messages import short
from .rollout.plan import RolloutPlan
from .rollout.verdict import outlook_with, rolled_out
from .status_stages import bounded, stage_statuses
from .status_targets import resolved_model, target_status, variants
from .summary import summary
from .survey import Survey
from .text import clip

_OUTCOMES: dict[str, Outcome] = {"Ready": "Ready", "Failed": "Failed"}


@dataclass(frozen=True)
class Built:
    """What the stages made so far, before any vehicle is looked at."""

    survey: Survey
    stages: list[StageStatus]
    targets: list[TargetStatus]
    model: ResolvedModel | None
    variants: list[VariantStatus]
    outlook: Outlook
    proven: ProvenRevision | None
    """The figures of the revision, once every target is ready."""

    @property
    def release(self) -> Release | None:
        """The revision as vehicles load it; None until it is built and has passed all gates."""
        if self.proven is None or self.outlook.kind != "Ready":
            return None
        return release_of(self.proven.revision, self.targets)


def built(observed: Observed, spec: DeploymentSpec, survey: Survey, started: Mapping[str, str], now: datetime) -> Built:
    """Put together what is known of the stages; `started` names Jobs that this plan creates, by recipe digest."""
    stages = stage_statuses(survey.steps, observed, started, now)
    targets = [target_status(each, spec) for each in survey.targets]
    model, made = resolved_model(survey), variants(survey)
    digest = revision_digest(model, targets) if model else None
    proven = proven_revision(digest, observed.metadata.generation, targets, made) if digest else None
    return Built(survey, stages, targets, model, made, outlook(survey, stages, targets, spec.suspend), proven)


def built_status(
    observed: Observed, spec: DeploymentSpec, made: Built, rollout: RolloutPlan, now: datetime
) -> DeploymentStatus:
    """Status of a valid deployment."""
    old, generation, survey, targets = observed.status, observed.metadata.generation, made.survey, made.targets
    view = outlook_with(made.outlook, rollout.status, rollout.problem) if spec.rollout else made.outlook
    line = summary(spec, targets, made.variants, view.message)
    wave = short(rollout.status) if rollout.status else None
    return DeploymentStatus(
        observed_generation=generation,
        phase=_phase(made, view, spec.suspend),
        conditions=conditions.merged(old.conditions, _findings(made, view, spec, rollout), generation, now),
        revision=_revision(old.revision, made, spec, rollout),
        summary=line.model_copy(update={"wave": wave}),
        model=made.model,
        variants=made.variants,
        targets=targets,
        stages=bounded(made.stages),
        rollout=rollout.status,
        handled_retry=retry_of(observed) or None,
        history=history(old, generation, _OUTCOMES.get(view.kind), _digest(made), view.message, survey.steps, now),
    )


def _digest(made: Built) -> str | None:
    return made.proven.revision if made.proven else None


def _revision(
    old: RevisionStatus | None, made: Built, spec: DeploymentSpec, rollout: RolloutPlan
) -> RevisionStatus | None:
    """Without a rollout a revision is stable as soon as it is built and proven, else when its last wave is done."""
    promotes = spec.rollout is None or (made.proven is not None and rollout.completed == made.proven.revision)
    found = revisions(old, made.proven, promotes=promotes)
    if found is None:
        return None
    return found.model_copy(update={"releases": releases(found, made.release, rollout.completed, spec.rollout)})


def invalid_status(observed: Observed, error: InvalidSpec, now: datetime) -> DeploymentStatus:
    """Status of a deployment whose spec breaks today's rules: what was built stays told, nothing goes on."""
    old, generation = observed.status, observed.metadata.generation
    view = Outlook("Failed", reasons.INVALID_SPEC, str(error))
    kept = [each for each in old.conditions if each.type not in (reasons.READY, reasons.RECONCILING, reasons.STALLED)]
    found = conditions.merged(old.conditions, conditions.overall(view), generation, now)
    line = (old.summary or SummaryStatus()).model_copy(update={"message": clip(view.message, 2048)})
    update = {
        "observed_generation": generation,
        "phase": "Failed",
        "summary": line,
        "conditions": [*found, *kept],
        "handled_retry": retry_of(observed) or None,
        "history": history(old, generation, "Failed", None, view.message, [stage.recipe for stage in old.stages], now),
    }
    return old.model_copy(update=update)


def _phase(made: Built, view: Outlook, suspended: bool) -> Phase:
    if suspended:
        return "Suspended"
    if view.kind in ("Ready", "Failed"):
        return "Ready" if view.kind == "Ready" else "Failed"
    return "RollingOut" if made.outlook.kind == "Ready" else working_phase(made.stages)


def _findings(made: Built, view: Outlook, spec: DeploymentSpec, rollout: RolloutPlan) -> list[Finding]:
    found = [*conditions.overall(view), *conditions.milestones(made.stages, made.targets)]
    return [*found, rolled_out(rollout.status, rollout.problem)] if spec.rollout else found
