"""What revisions reached (status.revision.proven), and which of them a new one is held against."""

from dataclasses import dataclass

from ..api.spec import TargetSpec
from ..api.status import ProvenLatency, ProvenRevision, ProvenTarget, RevisionStatus, TargetStatus, VariantStatus
from .gates.regression import Baseline


@dataclass(frozen=True)
class History:
    """The figures of earlier revisions, as the present generation sees them."""

    revision: RevisionStatus
    generation: int

    def baseline(self, target: TargetSpec, artifact: str) -> Baseline | None:
        """What a target's artifact is held against; None when nothing came before.

        That is the stable revision. If the present generation has made that itself, all its candidates are held
        against the one before, as they were then: what was rejected on the way stays rejected.
        """
        stable = self._proven(self.revision.stable)
        if stable is None:
            return None
        same = any(each.artifact == artifact for each in stable.targets if each.name == target.name)
        against = stable
        if same or stable.generation == self.generation:
            before = self._proven(self.revision.baseline)
            if before is None:
                return None
            against = before
        found = next((each for each in against.targets if (each.name, each.board) == (target.name, target.board)), None)
        return Baseline(against.revision, found, accepted=same) if found and found.artifact != artifact else None

    def _proven(self, revision: str | None) -> ProvenRevision | None:
        return next((each for each in self.revision.proven if each.revision == revision), None)


def proven_revision(
    revision: str, generation: int, targets: list[TargetStatus], variants: list[VariantStatus]
) -> ProvenRevision:
    """The figures of a revision whose targets are all ready."""
    accuracies = {variant.name: variant.accuracy for variant in variants}
    return ProvenRevision(
        revision=revision,
        generation=generation,
        targets=[
            ProvenTarget(
                name=target.name,
                board=target.board,
                artifact=target.artifact.digest,
                latencies=_latencies(target),
                accuracy=accuracies[target.variant],
            )
            for target in targets
            if target.artifact and target.variant
        ],
    )


def _latencies(target: TargetStatus) -> list[ProvenLatency]:
    chosen = next(each for each in target.candidates if each.variant == target.variant)
    facts = chosen.benchmark.latencies if chosen.benchmark else []
    return [ProvenLatency(provenance=each.provenance, p50=each.p50) for each in facts]
