"""The operator's own Prometheus metrics, and those of the deployments that it knows."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..api import labels
from ..api.status import DeploymentStatus, StageStatus
from .board_queue import lines
from .boards import board_type, count_boards, is_disabled
from .caches import Caches, ObjectName, Raw
from .exposition import Exposition
from .model_samples import FAMILIES, samples_of

_STAGE_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 12 * 3600)
_RECONCILE_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
_WAIT_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


class Metrics(Collector):
    """Counters and histograms of this process, gauges of its present state, and the series of deployments."""

    def __init__(self, caches: Caches, queue_depth: Callable[[], int], registry: CollectorRegistry) -> None:
        self._caches = caches
        self._queue_depth = queue_depth
        self.deployments = Exposition(FAMILIES)
        """Their series, apart from the registry: many, and made when they change instead of at each scrape."""
        self.reconcile_seconds = Histogram(
            "dms_reconcile_duration_seconds",
            "Time of one reconcile",
            buckets=_RECONCILE_SECONDS,
            registry=registry,
        )
        self.errors = Counter("dms_reconcile_errors", "Reconciles that failed", ["reason"], registry=registry)
        self.requests = Counter("dms_api_requests", "Requests to the API server", ["verb", "code"], registry=registry)
        self._stage_seconds = Histogram(
            "dms_stage_duration_seconds",
            "Time of one finished stage",
            ["stage", "outcome"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._retries = Counter("dms_stage_retries", "Failed pods of stages", ["stage"], registry=registry)
        self._board_wait = Histogram(
            "dms_board_wait_seconds",
            "Time that a benchmark pod waited for its board",
            ["board"],
            buckets=_WAIT_SECONDS,
            registry=registry,
        )
        registry.register(self)

    def count_request(self, verb: str, code: str) -> None:
        """A request to the API server was answered."""
        self.requests.labels(verb, code).inc()

    def status_known(self, name: ObjectName, spec: Raw, status: DeploymentStatus) -> None:
        """Replace a deployment's series by those of its present status."""
        self.deployments.put(name, samples_of(name, spec, status))

    def forget(self, name: ObjectName) -> None:
        """Remove a deployment's series."""
        self.deployments.forget(name)

    def status_written(self, name: ObjectName, before: DeploymentStatus, after: DeploymentStatus) -> None:
        """Observe the stages that finished, and the pods that failed, between two statuses: each once."""
        known = {stage.recipe: stage for stage in before.stages}
        for stage in after.stages:
            earlier = known.get(stage.recipe)
            # Only a failed pod after which another was started was a retry.
            failures = stage.attempts - (earlier.attempts if earlier else 0)
            if failures > 0:
                self._retries.labels(stage.stage).inc(failures)
            if not _is_over(earlier) and _is_over(stage) and stage.job:
                self._finished(name, stage)

    def _finished(self, name: ObjectName, stage: StageStatus) -> None:
        seconds = _seconds_between(stage.started_at, stage.finished_at)
        if seconds is not None:
            self._stage_seconds.labels(stage.stage, stage.state).observe(seconds)
        job = self._caches.jobs.get(ObjectName(name.namespace, stage.job))
        if stage.stage == "benchmark" and job is not None:
            for pod in self._caches.pods.owned_by(job["metadata"]["uid"]):
                self._observe_wait(pod)

    def _observe_wait(self, pod: Raw) -> None:
        board = (pod["spec"].get("nodeSelector") or {}).get(labels.BOARD)
        conditions: list[dict[str, str]] = pod["status"].get("conditions") or []
        bound = next((c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "True"), {})
        seconds = _seconds_between(pod["metadata"].get("creationTimestamp"), bound.get("lastTransitionTime"))
        if board and seconds is not None:
            self._board_wait.labels(board).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Gauges of boards and queue (called by the registry at each scrape)."""
        yield from self._boards()
        yield GaugeMetricFamily("dms_queue_depth", "Keys that are due", value=self._queue_depth())

    def _boards(self) -> Iterator[Metric]:
        nodes = GaugeMetricFamily("dms_board_nodes", "Nodes that carry the board's label", labels=["board"])
        disabled = GaugeMetricFamily("dms_board_disabled", "Boards that were taken out of service", labels=["board"])
        down = GaugeMetricFamily("dms_board_down", "Boards in service whose node is not ready", labels=["board"])
        capacity = GaugeMetricFamily("dms_board_capacity", "Boards that benchmarks may use", labels=["board"])
        allocated = GaugeMetricFamily("dms_board_allocated", "Boards that a benchmark holds", labels=["board"])
        unhealthy = GaugeMetricFamily(
            "dms_board_unhealthy", "Boards in service that the probe finds unhealthy", labels=["board"]
        )
        waiting = GaugeMetricFamily("dms_board_waiting", "Benchmarks that wait for a board", labels=["board"])
        for board, line in lines(self._caches.pods.tags()).items():
            waiting.add_metric([board], len(line))
        held, lost = self._held_boards(), self._lost_boards()
        for board, count in count_boards(self._caches.nodes.values()).items():
            nodes.add_metric([board], count.total)
            disabled.add_metric([board], count.disabled)
            down.add_metric([board], lost[board])
            unhealthy.add_metric([board], len(count.unhealthy))
            capacity.add_metric([board], count.allocatable)
            allocated.add_metric([board], held[board])
        yield from (nodes, disabled, down, unhealthy, capacity, allocated, waiting)

    def _lost_boards(self) -> Tally[str]:
        nodes = (node for node in self._caches.nodes.values() if not is_disabled(node) and not _is_ready(node))
        return Tally(board for node in nodes if (board := board_type(node)) is not None)

    def _held_boards(self) -> Tally[str]:
        names = Tally(self._caches.pods.tags())
        nodes = ((self._caches.nodes.get(ObjectName("", name)), count) for name, count in names.items())
        held: Tally[str] = Tally()
        for node, count in nodes:
            board = board_type(node) if node else None
            if board is not None:
                held[board] += count
        return held


def _is_ready(node: Raw) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _is_over(stage: StageStatus | None) -> bool:
    return stage is not None and stage.state in ("Succeeded", "Failed")


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
