"""Whether this operator process moves, as Prometheus gauges: what /healthz judges, before it is too late."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..api.stages import StageName


class Vitals(Collector):
    """Gauges of the process, read at each scrape."""

    def __init__(
        self,
        lag: Callable[[], float],
        stall: Callable[[], float],
        silent: Callable[[], Mapping[str, float]],
        deadlines: Mapping[StageName, float],
        leads: Callable[[], bool],
        registry: CollectorRegistry,
    ) -> None:
        self._lag = lag
        self._stall = stall
        self._silent = silent
        self._deadlines = deadlines
        self._leads = leads
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Whether it leads, how the queue moves, dead watches, and the deadlines of running stages."""
        yield GaugeMetricFamily("dms_leader", "1 for the operator that acts, 0 for one on standby", value=self._leads())
        yield GaugeMetricFamily("dms_queue_lag_seconds", "How long the oldest key has been due", value=self._lag())
        yield GaugeMetricFamily(
            "dms_queue_stall_seconds",
            "How long a key has been in work, or none came through though some are due: what /healthz judges",
            value=self._stall(),
        )
        silent = len(self._silent())
        yield GaugeMetricFamily("dms_watches_silent", "Watches that give no sign of life", value=silent)
        deadlines = GaugeMetricFamily(
            "dms_stage_deadline_seconds", "How long one pod of a stage may run", labels=["stage"]
        )
        for stage, seconds in sorted(self._deadlines.items()):
            deadlines.add_metric([stage], seconds)
        yield deadlines
