"""status.summary: one line for `kubectl get`, with the worst figures over all ready targets."""

from collections.abc import Iterable

from ..api.quantities import Duration
from ..api.spec import DeploymentSpec
from ..api.stages import PROVENANCE_ORDER
from ..api.status import SummaryStatus, TargetLatency, TargetStatus, VariantStatus
from .text import clip, loss, milliseconds


def summary(
    spec: DeploymentSpec, targets: list[TargetStatus], variants: list[VariantStatus], message: str
) -> SummaryStatus:
    """The line; figures are absent until a target is ready."""
    ready = [target for target in targets if target.state == "Ready"]
    judged = [target.end_to_end if spec.benchmark.end_to_end else target.latency for target in ready]
    latencies = [latency for latency in judged if latency]
    return SummaryStatus(
        precision=_listed(target.precision for target in ready),
        method=_listed(target.method for target in ready),
        p99=_worst_latency(latencies),
        drop=_worst_drop(spec, ready, variants),
        provenance=_weakest(latencies),
        targets=f"{len(ready)}/{len(targets)}",
        message=clip(message, 2048) or None,
    )


def _listed(values: Iterable[str | None]) -> str | None:
    """Distinct values in order, or None."""
    return ",".join(dict.fromkeys(value for value in values if value)) or None


def _worst_latency(latencies: list[TargetLatency]) -> str | None:
    """Measured p99 where there is one, else the bound; never without its provenance."""
    figures = [(figure, latency) for latency in latencies if (figure := _figure(latency)) is not None]
    if not figures:
        return None
    figure, latency = max(figures, key=lambda pair: pair[0].value)
    return f"{milliseconds(figure)} {latency.provenance}"


def _figure(latency: TargetLatency) -> Duration | None:
    return latency.p99 or latency.bound


def _weakest(latencies: list[TargetLatency]) -> str | None:
    provenances = [latency.provenance for latency in latencies]
    return min(provenances, key=PROVENANCE_ORDER.index, default=None)


def _worst_drop(spec: DeploymentSpec, ready: list[TargetStatus], variants: list[VariantStatus]) -> str | None:
    drops = {variant.name: variant.accuracy_drop for variant in variants}
    worst = max((drops[target.variant] for target in ready if target.variant in drops), default=None)
    return None if worst is None else loss(spec.dataset.metric, worst)
