"""Gates over live metrics: a real Prometheus scrapes what vehicles would export, and the operator asks it."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from dms_operator.controller.caches import ObjectName
from dms_operator.controller.rollout.fleet import Fleet as Seen
from dms_operator.controller.rollout.fleet import MetricName, ReadingsWanted
from dms_operator.controller.rollout_readings import QUERIES, Readings
from dms_operator.controller.settings import FleetSettings
from e2e.running import end, wait_for
from e2e.vehicle_runtime import Runtimes, serving
from observability.conftest import Prometheus

VOLUME = {"emptyDir": {}}


def test_the_default_queries_read_the_worst_vehicle_from_a_real_prometheus(tmp_path: Path) -> None:
    folder, name, start = tmp_path / "fleet", ObjectName("perception", "driver"), datetime.now(UTC)
    runtimes = Runtimes(folder)
    runtimes.latency["bad"] = 0.2
    for car, revision in (("car-1", "good"), ("car-2", "good"), ("car-3", "bad")):
        link = folder / car / name.namespace / name.name / "current"
        (link.parent / "revisions" / revision).mkdir(parents=True)
        link.symlink_to(f"revisions/{revision}")

    def read(revision: str, readings: int) -> dict[MetricName, list[float]] | None:
        wanted = [ReadingsWanted(metric, revision, start, datetime.now(UTC), 2.0) for metric in QUERIES]
        fleet = asyncio.run(
            Readings(FleetSettings(volume=VOLUME, prometheus=prometheus.url)).add_to(Seen(), name, wanted)
        )
        values = {metric: [each.value for each in found] for metric, found in fleet.readings.items()}
        return values if len(values) == 3 and all(len(each) >= readings for each in values.values()) else None

    with serving(runtimes) as address:
        prometheus = Prometheus(tmp_path, address)
        try:
            # a quantile is interpolated within the bucket that the 99th inference falls into
            for revision, latency in (("good", 20), ("bad", 500)):
                found = wait_for(partial(read, revision, 3), 30, f"three readings of {revision}")
                assert found["p99LatencyMs"][-1] == pytest.approx(latency, rel=0.02)
                assert (found["errorRate"][-1], found["temperatureCelsius"][-1]) == (0, 61.5)
            assert read("unknown", 0) == {"p99LatencyMs": [], "errorRate": [], "temperatureCelsius": []}
        finally:
            end(prometheus.process)
