"""Whatever happens on the way, the planner ends where an undisturbed run ends.

Jobs finish in any order, stumble, run out of retries, lose their pods or vanish; plans are made from outdated views,
carried out twice or by half; the spec is edited, suspended, retried. Then the disturbances stop.
"""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.builders import COCKPIT, ENTRY, Script, World, deployment, failure, spec, world
from dms_operator.api.labels import RECIPE_DIGEST, RETRY
from dms_operator.controller.observation import Observed
from dms_operator.controller.plan import Plan, plan

BOTH = {**COCKPIT, "precisions": ["int4", "int8", "fp16"]}
SPECS: list[dict[str, Any]] = [
    spec(COCKPIT),
    spec(COCKPIT, ENTRY),
    spec(BOTH, ENTRY),
    spec(BOTH, benchmark={"latencyBudget": "0.5ms"}),
    spec(COCKPIT, benchmark={"latencyBudget": "0.1ms"}),
    spec(COCKPIT, quantization={"maxAccuracyDrop": 0.0001}),
    spec(COCKPIT, quantization={"calibration": "entropy"}),
    spec(COCKPIT, {"name": "second", "board": "sa8255"}, model={"uri": "file:///models/other.onnx"}),
    spec({"name": "lab", "board": "generic-x86", "precisions": ["fp32"]}),
]
SCRIPTS = [
    Script(),
    Script(drops={"int8-minmax": 0.05, "int8-percentile": 0.03, "int4": 0.2}),
    Script(failures={"convert-tda4vm": failure()}, bounds={"int4": "0.600ms", "int8": "0.400ms"}),
    Script(failures={"convert-int8": failure("UnsupportedOperators", "GridSample x2 is not supported")}),
    Script(failures={"resolve": failure("SourceNotFound", "nothing is stored at file:///models/driver.pt2")}),
]

TIMELY = ["reconcile", "start", "finish", "stumble", "exhaust", "tick"]
UNTIMELY = ["lose_pods", "delete_job", "restart", "look", "apply_outdated", "half"]
ASKED = ["suspend", "resume", "edit", "retry"]
ACTIONS = [*TIMELY, *TIMELY, *UNTIMELY, *ASKED]


class Disturbed:
    """A world, and an outdated view of it."""

    def __init__(self, index: int, script: Script) -> None:
        self.world = World(deployment(copy.deepcopy(SPECS[index])), script)
        self.seen: tuple[Observed, dict[str, Any]] | None = None
        self.retries = 0

    def act(self, action: str, pick: int) -> None:
        """One thing that may happen at any time."""
        getattr(self, action)(pick)
        self.check()

    def check(self) -> None:
        """What has to hold at all times."""
        live = [self.world.jobs[name]["metadata"]["annotations"][RECIPE_DIGEST] for name in self.world.unfinished()]
        assert len(live) == len(set(live)), "two live Jobs of one recipe"

    def reconcile(self, _: int) -> None:
        self.world.reconcile()

    def start(self, pick: int) -> None:
        if (name := self._live(pick)) and not self.world.pods[name]:
            self.world.start(name)

    def finish(self, pick: int) -> None:
        if name := self._live(pick):
            self.world.finish(name)

    def stumble(self, pick: int) -> None:
        if name := self._live(pick):
            self.world.stumble(name)

    def exhaust(self, pick: int) -> None:
        if name := self._live(pick):
            self.world.stumble(name, "not JSON")
            self.world.conclude(name, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def lose_pods(self, pick: int) -> None:
        if self.world.jobs:
            name = sorted(self.world.jobs)[pick % len(self.world.jobs)]
            self.world.pods[name] = []

    def delete_job(self, pick: int) -> None:
        if self.world.jobs:
            self.world.delete(sorted(self.world.jobs)[pick % len(self.world.jobs)])

    def restart(self, _: int) -> None:
        """Only what the API server keeps survives; the planner keeps nothing."""
        self.seen = None

    def look(self, _: int) -> None:
        self.seen = (copy.deepcopy(self.world.observed()), copy.deepcopy(self.world.body))

    def apply_outdated(self, _: int) -> None:
        """Carry out what an outdated cache asks for; the status write then meets a conflict."""
        if self.seen:
            self._carry_out(
                plan(self.seen[0], self.world.settings, self.world.now), write=self.seen[1] == self.world.body
            )

    def half(self, _: int) -> None:
        """The operator dies before it writes the status."""
        self._carry_out(self.world.plan(), write=False)

    def suspend(self, _: int) -> None:
        self.world.edit(suspend=True)

    def resume(self, _: int) -> None:
        self.world.edit(suspend=False)

    def edit(self, pick: int) -> None:
        self.world.body["spec"] = copy.deepcopy(SPECS[pick % len(SPECS)])
        self.world.body["metadata"]["generation"] += 1

    def retry(self, _: int) -> None:
        self.retries += 1
        self.world.annotate(RETRY, f"try-{self.retries}")

    def tick(self, pick: int) -> None:
        self.world.tick(pick % 20)

    def _live(self, pick: int) -> str | None:
        names = sorted(self.world.unfinished())
        return names[pick % len(names)] if names else None

    def _carry_out(self, wanted: Plan, *, write: bool) -> None:
        for name in wanted.delete:
            self.world.delete(name)
        for manifest in wanted.create:
            self.world.create(manifest)
        if write:
            self.world.write(wanted)


def settle(disturbed: Disturbed) -> World:
    """Stop the disturbances: resume, forget what only bad luck failed, let time pass and everything end."""
    disturbed.resume(0)
    disturbed.retry(0)
    disturbed.world.tick(60)
    return disturbed.world.run()


TIMES = ("lastTransitionTime", "startedAt", "finishedAt")
CIRCUMSTANCES = ("baseline", "proven", "observedGeneration", "attempts", "job", "handledRetry", "history", "previous")


def essence(value: Any) -> Any:
    """A status without times and without the traces of how it came about."""
    if isinstance(value, dict):
        return {key: essence(item) for key, item in value.items() if key not in (*TIMES, *CIRCUMSTANCES)}
    if isinstance(value, list):
        return [essence(item) for item in value if not _compares(item)]
    return value


def _compares(item: Any) -> bool:
    """Whether it is a gate that holds a revision against an earlier one, which an undisturbed run may not have."""
    return isinstance(item, dict) and str(item.get("name", "")).endswith("Regression")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(range(len(SPECS))),
    st.sampled_from(range(len(SCRIPTS))),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 50)), max_size=40),
)
def test_every_disturbed_run_ends_as_the_undisturbed_one(
    index: int, script: int, actions: list[tuple[str, int]]
) -> None:
    disturbed = Disturbed(index, SCRIPTS[script])
    for action, pick in actions:
        disturbed.act(action, pick)
    ended = settle(disturbed)
    undisturbed = World(deployment(copy.deepcopy(ended.body["spec"])), SCRIPTS[script]).run()
    assert essence(ended.status) == essence(undisturbed.status)

    again = ended.plan()
    assert (again.create, again.delete, again.events) == ([], [], [])
    assert again.status == ended.observed().status


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SPECS), st.sampled_from(SCRIPTS))
def test_an_undisturbed_run_makes_one_job_per_recipe(wanted: dict[str, Any], script: Script) -> None:
    done = World(deployment(copy.deepcopy(wanted)), script).run()
    assert len(done.created) == len(set(done.created)) == len(done.ran)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SPECS), st.sampled_from(SCRIPTS))
def test_a_finished_deployment_needs_neither_jobs_nor_pods(wanted: dict[str, Any], script: Script) -> None:
    done = World(deployment(copy.deepcopy(wanted)), script).run()
    before, made = copy.deepcopy(done.status), len(done.created)
    done.jobs.clear()
    done.pods.clear()
    done.tick(3600)
    done.run()
    assert len(done.created) == made
    assert done.status == before


def test_two_worlds_with_the_same_past_plan_the_same() -> None:
    one, other = world(BOTH, ENTRY), world(BOTH, ENTRY)
    assert one.run().status == other.run().status
    assert one.events == other.events
