"""Whatever happens to a fleet on the way, the rollout keeps its promises, and ends once nothing happens any more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from controller.fleet_world import LINES, X86, FleetWorld, fleet_world
from dms_operator.api.labels import ABORT, APPROVE, RETRY
from dms_operator.controller.revision import DIGITS
from dms_operator.controller.rollout.fleet import Vehicle

picks = st.integers(0, 50)
ROLLOUTS: list[dict[str, Any]] = [
    {"maxUnavailable": "2"},
    {"maxUnavailable": "50%", "failurePolicy": {"action": "Pause", "maxFailures": "1"}},
    {"failurePolicy": {"action": "Continue"}, "offlinePolicy": {"grace": "1m", "action": "Fail"}},
    {"waves": [{"name": "lab", "size": "2", "soak": "5m"}, {"name": "all", "size": "100%", "approval": "Manual"}]},
]


class Fleets(RuleBasedStateMachine):
    """Everything that may happen to vehicles, their Jobs, people and the operator, in any order."""

    @initialize(rollout=st.sampled_from(ROLLOUTS), kinds=st.sampled_from([(X86,), LINES]))
    def begin(self, rollout: dict[str, Any], kinds: tuple[dict[str, Any], ...]) -> None:
        self.fleet: FleetWorld = fleet_world(5, kinds, **rollout)
        self.fleet.run_until_built()
        self.retired: dict[str, Vehicle] = {}
        self.tries = 0

    @rule()
    def reconcile(self) -> None:
        held = {name for name, vehicle in self.fleet.vehicles.items() if vehicle.held}
        refused = set(self.fleet.rollout.get("refused", []))
        before = set(self.fleet.jobs)
        plan = self.fleet.reconcile()
        assert len(self.switching_here()) <= self.limit() or not plan.create
        for name in set(self.fleet.jobs) - before:
            recipe = self.fleet.request(name).recipe
            node = getattr(recipe, "node", "")
            assert node not in held, "nothing starts on a held vehicle"
            if recipe.stage in ("prefetch", "activate") and not self.retried():
                assert recipe.revision[:DIGITS] not in refused, "what was refused is not brought to a vehicle again"

    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        names = self.fleet.unfinished()
        if names:
            self.fleet.finish(names[pick % len(names)])

    @rule(pick=picks)
    def finish_and_reconcile(self, pick: int) -> None:
        self.finish(pick)
        self.reconcile()

    @rule(pick=picks)
    def lose_an_answer(self, pick: int) -> None:
        done = [name for name, job in self.fleet.jobs.items() if job["status"].get("conditions")]
        if done:
            self.fleet.pods[done[pick % len(done)]] = []

    @rule(pick=picks)
    def lose_a_job(self, pick: int) -> None:
        names = self.fleet.unfinished()
        if names:
            self.fleet.delete(names[pick % len(names)])

    @rule(pick=picks, hours=st.sampled_from([0, 2]))
    def go_away(self, pick: int, hours: int) -> None:
        self.change(pick, away_since=self.fleet.now - timedelta(hours=hours))

    @rule(pick=picks)
    def come_back(self, pick: int) -> None:
        self.fleet.come_back(self.name(pick))

    @rule(pick=picks, held=st.booleans())
    def hold(self, pick: int, held: bool) -> None:
        self.change(pick, held=held)

    @rule(pick=picks)
    def join(self, pick: int) -> None:
        new = Vehicle(f"new-{pick % 3}", "generic-x86", {"line": "a"})
        self.fleet.vehicles.setdefault(new.name, new)

    @rule(pick=picks, line=st.sampled_from("ab"))
    def move_to_the_target(self, pick: int, line: str) -> None:
        self.change(pick, labels={"line": line})

    @rule(pick=picks, broken=st.booleans())
    def break_or_mend(self, pick: int, broken: bool) -> None:
        pair = (self.name(pick), self.fleet.revision())
        (self.fleet.broken.add if broken else self.fleet.broken.discard)(pair)

    @rule(pick=picks, brings=st.booleans())
    def let_no_prefetch_bring_it(self, pick: int, brings: bool) -> None:
        pair = (self.name(pick), self.fleet.revision())
        (self.fleet.unfetchable.discard if brings else self.fleet.unfetchable.add)(pair)

    @rule(pick=picks, times=st.integers(1, 4))
    def damage(self, pick: int, times: int) -> None:
        self.fleet.damages[self.name(pick), self.fleet.revision()] = times

    @rule(pick=picks)
    def take_its_label_off(self, pick: int) -> None:
        if len(self.fleet.vehicles) > 1:
            name = self.name(pick)
            self.retired[name] = self.fleet.vehicles.pop(name)

    @rule()
    def label_them_again(self) -> None:
        self.fleet.vehicles |= self.retired
        self.retired.clear()

    @rule()
    def approve(self) -> None:
        self.fleet.annotate(APPROVE, f"{self.fleet.revision()}/all")

    @rule()
    def abort(self) -> None:
        self.fleet.annotate(ABORT, self.fleet.revision())

    @rule(named=st.booleans())
    def retry(self, named: bool) -> None:
        self.tries += 1
        self.fleet.body["metadata"].get("annotations", {}).pop(ABORT, None)
        self.fleet.annotate(RETRY, f"{self.fleet.revision() if named else 'again'}-{self.tries}")

    @rule()
    def ask_for_another_revision(self) -> None:
        self.tries += 1
        self.fleet.edit(model={"uri": f"file:///models/{self.tries}.pt2"})

    @rule(seconds=st.sampled_from([1, 20, 400]))
    def wait(self, seconds: int) -> None:
        self.fleet.tick(seconds)

    @invariant()
    def labels_tell_what_lies_on_disks_once_all_is_answered(self) -> None:
        if not self.fleet.unfinished() and not self.fleet.plan().node_labels and not self.fleet.jobs:
            assert self.fleet.labels == self.fleet.disks

    @invariant()
    def one_job_at_a_time_works_on_a_vehicle(self) -> None:
        nodes = [getattr(self.fleet.request(name).recipe, "node", name) for name in self.fleet.unfinished()]
        assert len(nodes) == len(set(nodes))

    def teardown(self) -> None:
        """Undisturbed, it comes to an end, in which labels and disks agree."""
        fleet = self.fleet
        fleet.broken.clear()
        fleet.unfetchable.clear()
        fleet.damages.clear()
        self.label_them_again()
        for name, vehicle in fleet.vehicles.items():
            fleet.vehicles[name] = replace(vehicle, away_since=None, here_since=fleet.now, held=False)
        self.approve()
        for _ in range(3):
            fleet.settle()
            fleet.tick(600)
            self.approve()
        fleet.settle()
        assert fleet.labels == fleet.disks
        running = {name[:DIGITS] for name in fleet.disks.values()}
        assert not running & {*fleet.rollout["refused"]}, "no vehicle keeps what was taken back"
        if fleet.rollout["state"] == "Completed":
            assert running == {fleet.revision()}
            self.each_runs_what_was_built_for_its_target()
            for name, vehicle in fleet.vehicles.items():
                fleet.move(name, labels={"line": "ab"[vehicle.labels["line"] == "a"]})
            fleet.settle()
            self.each_runs_what_was_built_for_its_target()
        else:
            assert fleet.rollout["state"] == "RolledBack" or fleet.pauses()

    def switching_here(self) -> list[str]:
        seen = self.fleet.vehicles
        return [name for name in self.fleet.switching() if name in seen and not seen[name].away_since]

    def each_runs_what_was_built_for_its_target(self) -> None:
        """But for those whose failure the policy lets pass: they keep what they had until a retry."""
        failed = {each["node"] for each in self.fleet.rollout["failedVehicles"]}
        for name, vehicle in self.fleet.vehicles.items():
            assert name in failed or self.fleet.artifacts[name] == self.fleet.built_for(self.target_of(vehicle))

    def target_of(self, vehicle: Vehicle) -> str:
        targets = self.fleet.body["spec"]["targets"]
        return str(vehicle.labels["line"] if len(targets) > 1 else targets[0]["name"])

    def limit(self) -> int:
        text = self.fleet.body["spec"]["rollout"].get("maxUnavailable", "10%")
        total = len(self.fleet.vehicles)
        return max(1, total * int(text[:-1]) // 100 if text.endswith("%") else int(text))

    def retried(self) -> bool:
        return bool(self.fleet.body["metadata"].get("annotations", {}).get(RETRY, "").startswith(self.fleet.revision()))

    def name(self, pick: int) -> str:
        return sorted(self.fleet.vehicles)[pick % len(self.fleet.vehicles)]

    def change(self, pick: int, **fields: Any) -> None:
        name = self.name(pick)
        self.fleet.vehicles[name] = replace(self.fleet.vehicles[name], **fields)


COMMON: dict[str, Any] = {
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate, Phase.shrink],
    "deadline": None,
}


def test_no_order_of_events_breaks_a_promise_within_25_runs() -> None:
    steps = settings(max_examples=25, stateful_step_count=40, derandomize=True, **COMMON)
    run_state_machine_as_test(Fleets, settings=steps)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_order_of_events_breaks_a_promise_within_400_runs() -> None:
    run_state_machine_as_test(Fleets, settings=settings(max_examples=400, stateful_step_count=60, **COMMON))
