"""Where a rollout stands can be seen from outside; a deployment without one has no such series."""

from controller.fleet_world import fleet_world
from dms_operator.api.rollout_status import RolloutStatus
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.rollout_samples import NODES, PAUSED, ROLLED_BACK, WAVE, WAVES, rollout_samples

NAME = ObjectName("perception", "driver")


def _samples(status: RolloutStatus | None) -> dict[tuple[str, ...], float]:
    return {(each.family.name, *each.labels[2:]): each.value for each in rollout_samples(NAME, status)}


def test_vehicles_are_counted_by_state_and_all_states_are_all_vehicles() -> None:
    fleet = fleet_world(4, waves=[{"name": "lab", "size": "1", "soak": "1h"}, {"name": "all", "size": "100%"}]).settle()
    found = _samples(RolloutStatus.model_validate(fleet.rollout))
    assert found[NODES.name, "updated"] == 1
    assert sum(value for key, value in found.items() if key[0] == NODES.name) == 4
    assert (found[WAVE.name,], found[WAVES.name,]) == (1, 2)


def test_each_reason_of_a_pause_has_its_own_series() -> None:
    waves = [{"name": "lab", "size": "1"}, {"name": "all", "size": "100%", "approval": "Manual"}]
    found = _samples(RolloutStatus.model_validate(fleet_world(4, waves=waves).settle().rollout))
    on = [key[1] for key, value in found.items() if key[0] == PAUSED.name and value]
    assert on == ["ApprovalRequired"]


def test_a_revision_that_was_taken_back_shows() -> None:
    fleet = fleet_world(2)
    fleet.run_until_built()
    fleet.broken = {(name, fleet.revision()) for name in fleet.vehicles}
    found = _samples(RolloutStatus.model_validate(fleet.settle().rollout))
    assert found[ROLLED_BACK.name,] == 1


def test_a_deployment_without_a_rollout_has_no_series() -> None:
    assert _samples(None) == {}
