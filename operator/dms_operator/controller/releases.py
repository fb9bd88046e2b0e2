"""status.revision.releases: how revisions get onto a vehicle again, when their own stages are long gone."""

from ..api.rollout import RolloutSpec
from ..api.rollout_status import Release, TargetRelease
from ..api.status import CandidateStatus, RevisionStatus, TargetStatus


def release_of(revision: str, targets: list[TargetStatus]) -> Release:
    """A revision whose targets are all ready."""
    return Release(revision=revision, targets=[_target(each) for each in targets])


def releases(
    revision: RevisionStatus, release: Release | None, completed: str | None, rollout: RolloutSpec | None
) -> list[Release]:
    """Those that may be asked for: the current one, and the one that a rollback goes to; it alone without a rollout."""
    known = {each.revision: each for each in [*revision.releases, *([release] if release else [])]}
    wanted = dict.fromkeys(name for name in (revision.current if rollout else None, completed) if name)
    return [known[name] for name in wanted if name in known]


def _target(target: TargetStatus) -> TargetRelease:
    chosen: CandidateStatus = next(each for each in target.candidates if each.variant == target.variant)
    assert chosen.compiled is not None and chosen.benchmark is not None, "a ready target was compiled and measured"
    return TargetRelease(
        target=target.name,
        board=target.board,
        toolchain=target.toolchain,
        compiled=chosen.compiled.artifact.digest,
        benchmark=chosen.benchmark.artifact.digest,
        deployable=chosen.compiled.deployable,
    )
