"""Gates over live metrics: a real Prometheus scrapes what vehicles would export, and the operator asks it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from dms_operator.api.rollout import MetricName
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.rollout.fleet import Fleet as Seen
from dms_operator.controller.rollout.fleet import Gauge, ReadingsWanted
from dms_operator.controller.rollout_readings import QUERIES, Readings
from dms_operator.controller.settings import FleetSettings
from e2e.conftest import FakeStages
from e2e.fleet import CARS, Fleet, fleet_cluster, new_namespace, settings
from e2e.running import OperatorProcess, end, wait_for
from e2e.vehicle_runtime import Runtimes, serving
from observability.conftest import Prometheus

VOLUME: dict[str, dict[str, str]] = {"emptyDir": {}}
WAVES = [{"name": "lab", "size": "2", "soak": "8s"}, {"name": "fleet", "size": "100%"}]
GATES = [
    {"metric": "p99LatencyMs", "value": 50, "interval": "2s", "count": 3},
    {"metric": "errorRate", "value": 0.01, "interval": "2s", "count": 3},
    {"metric": "temperatureCelsius", "value": 90, "interval": "2s", "count": 3},
]


class Watched(NamedTuple):
    """A fleet, and what its vehicles' runtimes tell."""

    fleet: Fleet
    runtimes: Runtimes


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    folder = tmp_path / "fleet"
    folder.mkdir()
    runtimes = Runtimes(folder)
    with fleet_cluster(tmp_path / "vehicles") as cluster, serving(runtimes) as address:
        prometheus = Prometheus(tmp_path, address)
        kubectl = new_namespace(cluster, tmp_path)
        assert cluster.control is not None
        stages = FakeStages(cluster.control, kubectl.namespace)
        operator = OperatorProcess(cluster.kubeconfig, settings(folder, prometheus=prometheus.url), tmp_path, [])
        operator.start()
        try:
            operator.wait_ready()
            wait_for(prometheus.scrapes, 30, "Prometheus scrapes the vehicles")
            yield Watched(Fleet(kubectl, operator, stages, folder), runtimes)
        finally:
            operator.stop()
            end(prometheus.process)


def test_the_default_queries_read_the_worst_vehicle_from_a_real_prometheus(tmp_path: Path) -> None:
    folder, name, start = tmp_path / "fleet", ObjectName("perception", "driver"), datetime.now(UTC)
    runtimes = Runtimes(folder)
    runtimes.latency["bad"] = 0.2
    for car, revision in (("car-1", "good"), ("car-2", "good"), ("car-3", "bad")):
        link = folder / car / name.namespace / name.name / "current"
        (link.parent / "revisions" / revision).mkdir(parents=True)
        link.symlink_to(f"revisions/{revision}")

    def seen(revision: str) -> Seen:
        now = datetime.now(UTC)
        wanted = [ReadingsWanted(Gauge(metric, 2.0), revision, start, now) for metric in QUERIES]
        readings = Readings(FleetSettings(volume=VOLUME, prometheus=prometheus.url))
        return asyncio.run(readings.add_to(Seen(), name, wanted))

    def read(revision: str, readings: int) -> dict[MetricName, list[float]] | None:
        values = {gauge.metric: [each.value for each in found] for gauge, found in seen(revision).readings.items()}
        return values if len(values) == 3 and all(len(each) >= readings for each in values.values()) else None

    def heard(revision: str, readings: int) -> list[set[str]] | None:
        told = seen(revision).told.values()
        enough = [{name for name, number in each.items() if number >= readings} for each in told]
        return enough if len(told) == 3 and enough == [set(each) for each in told] else None

    with serving(runtimes) as address:
        prometheus = Prometheus(tmp_path, address)
        try:
            # a quantile is interpolated within the bucket that the 99th inference falls into
            for revision, latency in (("good", 20), ("bad", 500)):
                found = wait_for(partial(read, revision, 3), 30, f"three readings of {revision}")
                assert found["p99LatencyMs"][-1] == pytest.approx(latency, rel=0.02)
                assert (found["errorRate"][-1], found["temperatureCelsius"][-1]) == (0, 61.5)
            for revision, cars in (("good", {"car-1", "car-2"}), ("bad", {"car-3"})):
                told = wait_for(partial(heard, revision, 3), 30, f"each vehicle of {revision} gave three readings")
                assert all(each == cars for each in told)
            assert read("unknown", 0) == {"p99LatencyMs": [], "errorRate": [], "temperatureCelsius": []}
        finally:
            end(prometheus.process)


@pytest.mark.slow
def test_a_wave_goes_on_while_vehicles_keep_within_bounds_and_is_taken_back_when_one_does_not(
    watched: Watched,
) -> None:
    fleet, runtimes = watched
    fleet.deploy(waves=WAVES, gates=GATES)
    fleet.wait("Soaking", wave="lab")
    assert len(fleet.labels()) == 2
    stable = fleet.wait("Completed")["revision"]
    assert fleet.labels() == dict.fromkeys(CARS, stable)

    runtimes.latency.default_factory = lambda: 0.2
    runtimes.latency[stable] = 0.015
    fleet.deploy(2, waves=WAVES, gates=GATES)
    bad = fleet.wait("RolledBack")["revision"]
    assert bad != stable and fleet.labels() == fleet.links() == dict.fromkeys(CARS, stable)
    assert len(set(fleet.runs("activate", revision=bad))) == 2, (
        "the gate kept it from all vehicles after the first wave"
    )
    events = [event["message"] for event in fleet.kubectl.json("get", "events")["items"]]
    assert any("p99LatencyMs" in message for message in events), events


@pytest.mark.slow
def test_without_readings_a_wave_waits_and_goes_on_by_itself_when_they_come(watched: Watched) -> None:
    fleet, runtimes = watched
    runtimes.silent = True
    fleet.deploy(waves=WAVES, gates=GATES)
    fleet.wait_paused("GateInconclusive")
    assert len(fleet.labels()) == 2
    assert "gate p99LatencyMs <= 50: 0 of 3 readings passed, 0 failed (0 may)" in fleet.command("status")
    runtimes.silent = False
    fleet.wait("Completed")
    assert set(fleet.labels()) == set(CARS)
