"""Rollouts as the real planner leaves them, for what `dms rollout` shows of them and asks of them."""

from typing import Any

from controller.fleet_world import FleetWorld
from dms_operator.cli.objects import Deployment, parse_deployment
from dms_operator.cli.rollout.vehicles import Fleet
from dms_operator.cli.rollout.view import RolloutView, rollout_view
from dms_operator.cli.writes import Request
from dms_operator.controller.observation import job_view

MANUAL: list[dict[str, Any]] = [
    {"name": "lab", "size": "1"},
    {"name": "canary", "size": "50%", "approval": "Manual"},
    {"name": "fleet", "size": "100%"},
]


def deployment(world: FleetWorld) -> Deployment:
    """The object as a command reads it."""
    return parse_deployment(world.body)


def fleet(world: FleetWorld) -> Fleet:
    """Vehicles and Jobs as a command reads them: without the pods' answers."""
    jobs = [job for job in world.jobs.values() if "dms.edge/node" in job["metadata"]["annotations"]]
    return Fleet(world.observed().fleet.vehicles, tuple(job_view(job, []) for job in jobs))


def shown(world: FleetWorld) -> RolloutView:
    """What status shows."""
    return rollout_view(deployment(world), fleet(world), world.now)


def ask(world: FleetWorld, request: Request) -> FleetWorld:
    """Write what is asked for, as the API server merges it, and let everything come to rest."""
    marks = world.body["metadata"].setdefault("annotations", {})
    for key, value in request.annotations.items():
        marks.pop(key, None) if value is None else marks.update({key: value})
    if request.spec:
        world.edit(**request.spec)
    return world.settle()
