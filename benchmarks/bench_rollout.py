"""One deployment over many vehicles, against a bare asyncio client that makes the same writes and nothing else.

Both run in this run, each on a fresh dev cluster whose Jobs end at once (`operator_cluster.py`) and whose vehicles are
nodes without a kubelet. The bare client creates and deletes the Jobs that the operator made, labels the vehicles, and
patches the status as often as the operator did: what is above it is what looking at the fleet costs.

    python benchmarks/bench_rollout.py [--vehicles 1000] [--dry-run]

The table goes to docs/performance.md, section "Rollout".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench_operator import PAGE, Operator, cluster
from kubernetes.aio import client, config
from operator_load import BOARD, MERGE, SETTINGS, deployment, in_flight
from report import write_section

from controller.fleet_world import fleet_world
from dms_operator.api.labels import GROUP, NODE, PLURAL, VEHICLE, VERSION, revision_label
from dms_operator.api.resource import Metadata, parse_spec
from dms_operator.api.stages import VehicleRecipe
from dms_operator.api.vehicle import ActivateRecipe, PrefetchRecipe
from dms_operator.controller.plan import plan
from dms_operator.controller.settings import Settings
from dms_operator.controller.vehicle_jobs import vehicle_job_manifest
from e2e.running import Kubectl, wait_for

FLEET = {"fleet": {"volume": {"hostPath": {"path": "/var/lib/dms", "type": "Directory"}}}}
WAVES = [{"name": "canary", "size": "1%"}, {"name": "early", "size": "20%"}, {"name": "fleet", "size": "100%"}]
ROLLOUT = {
    "waves": WAVES,
    "maxUnavailable": "10%",
}
NAME = "d00000"
DIGEST = "sha256:" + "a" * 64
IN_FLIGHT = 50
Costs = dict[str, Any]


def vehicle(number: int) -> dict[str, Any]:
    """A node as a fleet's tooling would make it, and its kubelet would report it."""
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-29T06:00:00Z"}
    labels = {VEHICLE: BOARD, "example.com/line": str(number % 7), "kubernetes.io/arch": "arm64"}
    metadata = {"name": f"car-{number:05d}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"conditions": [ready]}}


def rollout(namespace: str) -> dict[str, Any]:
    """The deployment of `bench_operator.py`, for a fleet."""
    body = deployment(namespace, 0)
    return {**body, "spec": {**body["spec"], "rollout": ROLLOUT}}


def recipes(namespace: str, node: str) -> Iterator[VehicleRecipe]:
    """What is asked of one vehicle."""
    where = {"image": "fake-stage:bench", "node": node, "deployment": f"{namespace}/{NAME}", "revision": "0123456789ab"}
    release = {"compiled": DIGEST, "benchmark": DIGEST, "board": BOARD, "toolchain": "onnxruntime"}
    for kind in (PrefetchRecipe, ActivateRecipe):
        yield kind.model_validate({**where, **release})


class BareClient:
    """Brings a revision to vehicles without looking at anything."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api, self._core, self._batch = api, client.CoreV1Api(api), client.BatchV1Api(api)
        self._objects = client.CustomObjectsApi(api)
        self._namespace = namespace
        self._settings = Settings.model_validate({**SETTINGS, **FLEET})

    async def create(self) -> None:
        """Create the deployment, whose Jobs these are."""
        made = await self._objects.create_namespaced_custom_object(
            GROUP, VERSION, self._namespace, PLURAL, {**rollout(self._namespace), "metadata": {"name": NAME}}
        )
        assert isinstance(made, dict)
        self._metadata = Metadata.model_validate(made["metadata"])
        self._spec = parse_spec(made)

    async def update(self, node: str) -> None:
        """Two Jobs, a label, and both Jobs deleted."""
        names = []
        for recipe in recipes(self._namespace, node):
            target = self._spec.targets[0]
            manifest = vehicle_job_manifest(recipe, target, self._metadata, self._spec, self._settings, "")
            names.append(manifest["metadata"]["name"])
            await self._batch.create_namespaced_job(self._namespace, client.V1Job.model_validate(manifest))
        label = {revision_label(self._namespace, NAME): "0123456789ab"}
        await self._core.patch_node_status(node, {"metadata": {"labels": label}}, _content_type=MERGE)
        for name in names:
            await self._batch.delete_namespaced_job(name, self._namespace, propagation_policy="Background")

    async def tell(self, number: int) -> None:
        """One status write."""
        counts = {"total": 1000, "updated": number, "updating": 100, "prefetching": 50, "pending": 1}
        status = {"rollout": {"revision": "0123456789ab", "state": "Updating", "vehicles": counts}}
        await self._objects.patch_namespaced_custom_object_status(
            GROUP, VERSION, self._namespace, PLURAL, NAME, {"status": status}, _content_type=MERGE
        )


async def bare(namespace: str, vehicles: int, statuses: int) -> Costs:
    """Make the writes; gives seconds and CPU seconds."""
    await config.load_kube_config(os.environ["KUBECONFIG"])
    async with client.ApiClient() as api:
        one = BareClient(api, namespace)
        await one.create()
        started, cpu = time.monotonic(), _cpu()
        await in_flight(IN_FLIGHT, lambda number: one.update(vehicle(number)["metadata"]["name"]), vehicles)
        await in_flight(1, one.tell, statuses)
        return {"total": time.monotonic() - started, "cpu": _cpu() - cpu}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def add_vehicles(kubeconfig: Path, count: int) -> None:
    """Make the nodes."""
    await config.load_kube_config(str(kubeconfig))
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)

        async def add(number: int) -> None:
            body = vehicle(number)
            await core.create_node(client.V1Node.model_validate(body))
            await core.patch_node_status(body["metadata"]["name"], {"status": body["status"]}, _content_type=MERGE)

        await in_flight(IN_FLIGHT, add, count)


def operated(kubectl: Kubectl, server: Callable[[], float], vehicles: int, directory: Path) -> Costs:
    """The operator: built first, then timed from the first vehicle's label until it says that it is done."""
    operator = Operator(kubectl, directory, FLEET)
    operator.start()
    try:
        before, served, started, cpu = operator.requests(), server(), time.monotonic(), operator.cpu()
        kubectl.apply(rollout(kubectl.namespace))
        wait_for(lambda: _state(kubectl) == "Completed", 120 + vehicles, "every vehicle has the revision")
        total = time.monotonic() - started
        wait_for(lambda: not _vehicle_jobs(kubectl), 120, "its Jobs are gone")
        wait_for(lambda: operator.depth() == 0, 120, "its last events are posted")
        return {
            "total": total,
            "cpu": operator.cpu() - cpu,
            "server": server() - served,
            "requests": operator.requests() - before,
            "peakMegabytes": operator.megabytes(peak=True),
        }
    finally:
        operator.process.stop()


def _state(kubectl: Kubectl) -> str:
    time.sleep(0.4)  # a look is work for the API server
    return kubectl("get", "dmsd", NAME, "-o", "jsonpath={.status.rollout.state}")


def _vehicle_jobs(kubectl: Kubectl) -> list[str]:
    jobs = kubectl.json("get", "jobs")["items"]
    return [job["metadata"]["name"] for job in jobs if NODE in job["metadata"]["annotations"]]


def measured(vehicles: int) -> tuple[Costs, Costs]:
    """The operator, then the bare client with as many writes, each in a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-rollout-") as text:
        one, other = Path(text) / "operator", Path(text) / "bare"
        for directory in (one, other):
            directory.mkdir()
        with cluster(one) as (kubectl, server):
            asyncio.run(add_vehicles(kubectl.kubeconfig, vehicles))
            ours = operated(kubectl, server, vehicles, one)
        patches = sum(count for what, count in ours["requests"].items() if what.startswith("PATCH"))
        with cluster(other) as (kubectl, server):
            asyncio.run(add_vehicles(kubectl.kubeconfig, vehicles))
            before = server()
            plain = _bare_process(kubectl, vehicles, max(0, patches - vehicles))
            plain["server"] = server() - before
        return plain, ours


def _bare_process(kubectl: Kubectl, vehicles: int, statuses: int) -> Costs:
    command = [sys.executable, __file__, "--bare", kubectl.namespace, str(vehicles), str(statuses)]
    environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    return dict(json.loads(done.stdout))


def report(vehicles: int, plain: Costs, ours: Costs) -> str:
    """The section of the page."""
    requests: Counter[str] = Counter(ours["requests"])
    per_vehicle = {what: count / vehicles for what, count in sorted(requests.items())}
    waves = ", ".join(wave["size"] for wave in WAVES)
    rows = [("total time", "total", "s"), ("client CPU", "cpu", "s"), ("API server's CPU", "server", "s")]
    return "\n".join(
        [
            f"One deployment over {vehicles} vehicles in waves of {waves}, {ROLLOUT['maxUnavailable']} of them at a "
            "time, stages that end at once, on a dev cluster; the bare client makes the same Job, label and status "
            f"writes, {IN_FLIGHT} in flight, and waits for nothing. "
            f"`python benchmarks/bench_rollout.py --vehicles {vehicles}`.",
            "",
            "| | bare client | operator | ratio |",
            "|---|---|---|---|",
            *(
                f"| {what} | {plain[key]:.1f} {unit} | {ours[key]:.1f} {unit} | {ours[key] / plain[key]:.2f} |"
                for what, key, unit in rows
                if plain[key]
            ),
            "",
            f"Operator: {ours['peakMegabytes']:.0f} MB at most. Requests per vehicle: "
            + ", ".join(f"{what}: {count:.2f}" for what, count in per_vehicle.items())
            + f". Load of the machine (5 minutes' mean): {os.getloadavg()[1]:.1f}.",
        ]
    )


def look(vehicles: int) -> float:
    """CPU seconds of one plan over so many vehicles, 50 of which are at work: the best of five."""
    fleet = fleet_world(vehicles, waves=[{"name": "fleet", "size": "100%"}], maxUnavailable="10%")
    fleet.run_until_built()
    fleet.reconcile()
    for name in fleet.unfinished()[:25]:
        fleet.finish(name)
    fleet.reconcile()
    observed, found = fleet.observed(), []
    for _ in range(5):
        started = time.process_time()
        plan(observed, fleet.settings, fleet.now)
        found.append(time.process_time() - started)
    return min(found)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=1000)
    parser.add_argument("--dry-run", action="store_true", help="print, but leave the page alone")
    parser.add_argument("--look", action="store_true", help="only time one plan over the fleet, in this process")
    parser.add_argument("--bare", nargs=3, metavar=("NAMESPACE", "VEHICLES", "STATUSES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        namespace, vehicles, statuses = arguments.bare
        json.dump(asyncio.run(bare(namespace, int(vehicles), int(statuses))), sys.stdout)
        return
    if arguments.look:
        print(f"one look at {arguments.vehicles} vehicles: {look(arguments.vehicles) * 1000:.1f} ms of CPU")
        return
    page = report(arguments.vehicles, *measured(arguments.vehicles))
    print(page, flush=True)
    if not arguments.dry_run:
        write_section(PAGE, "rollout", f"Rollout over {arguments.vehicles} vehicles", page)


if __name__ == "__main__":
    main()
