"""status.revision and status.history: what is on its way to the vehicles, and what came before."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from ..api.base import digest_of
from ..api.status import DeploymentStatus, HistoryEntry, ProvenRevision, ResolvedModel, RevisionStatus, TargetStatus
from .text import clip, timestamp

DIGITS = 12
"""Hex digits of a revision."""
HISTORY_LIMIT = 5
"""Revisions that are remembered, the bound of status.history."""
NO_REVISION = "-"
"""Stands in history for a try that produced no revision."""

Outcome = Literal["Ready", "Failed", "Superseded"]


def revision_digest(model: ResolvedModel, targets: list[TargetStatus]) -> str | None:
    """Digest of what changes bytes or behaviour on the vehicle; None until every target has an artifact."""
    parts = [
        {
            "name": each.name,
            "board": each.board,
            "toolchain": each.toolchain,
            "artifact": each.artifact.digest,
        }
        for each in targets
        if each.artifact
    ]
    if len(parts) < len(targets):
        return None
    return digest_of({"model": model.digest, "targets": parts}).removeprefix("sha256:")[:DIGITS]


def revisions(old: RevisionStatus | None, proven: ProvenRevision | None, *, promotes: bool) -> RevisionStatus | None:
    """The revisions after this pass; `promotes` makes the present one stable.

    `proven` is the revision that the targets are ready with; None while they are not.
    """
    if proven is None:
        return old
    before, digest = old or RevisionStatus(), proven.revision
    stable = digest if promotes else before.stable
    baseline = before.baseline if stable == before.stable else before.stable
    known = next((each for each in before.proven if each.revision == digest), None)
    if known and stable == before.stable:
        proven = proven.model_copy(update={"generation": known.generation})
    kept = [each for each in before.proven if each.revision in (stable, baseline) and each.revision != digest]
    return RevisionStatus(
        current=digest,
        stable=stable,
        previous=before.previous if before.current == digest else before.current,
        baseline=baseline,
        proven=[proven, *kept],
        releases=before.releases,
    )


def history(
    old: DeploymentStatus,
    generation: int,
    outcome: Outcome | None,
    revision: str | None,
    message: str,
    wanted: Collection[str],
    now: datetime,
) -> list[HistoryEntry]:
    """History after this pass: `outcome` is None while the revision is on its way; `wanted` are recipe digests."""
    entries = list(old.history)
    if old.observed_generation is not None and _superseded(old, wanted):
        entries = _added(entries, old.observed_generation, "Superseded", NO_REVISION, "spec changed", now)
    if outcome:
        entries = _added(entries, generation, outcome, revision or NO_REVISION, message, now)
    return entries[:HISTORY_LIMIT]


def _superseded(old: DeploymentStatus, wanted: Collection[str]) -> bool:
    """Whether something that was under way is not wanted any more."""
    return any(stage.state in ("Pending", "Running") and stage.recipe not in wanted for stage in old.stages)


def _added(
    entries: list[HistoryEntry], generation: int, outcome: Outcome, revision: str, message: str, now: datetime
) -> list[HistoryEntry]:
    newest = entries[0] if entries else None
    if newest and (newest.generation, newest.outcome, newest.revision) == (generation, outcome, revision):
        return entries
    entry = HistoryEntry(
        revision=revision,
        generation=generation,
        outcome=outcome,
        finished_at=timestamp(now),
        message=clip(message, 512),
    )
    return [entry, *entries]
