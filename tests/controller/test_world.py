"""Whatever happens on the way, the planner ends where an undisturbed run ends.

Jobs finish in any order, stumble, run out of retries, lose their pods or vanish; plans are made from outdated views,
carried out twice or by half; the spec is edited, suspended, retried. Then the disturbances stop.
"""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from controller.builders import BOARDS, COCKPIT, ENTRY, Script, World, deployment, failure, spec, world
from dms_operator.api.labels import RECIPE_DIGEST, RETRY
from dms_operator.controller.observation import BoardCount, Observed
from dms_operator.controller.plan import Plan, plan
from fault_suite.promises import differences

BOTH = {**COCKPIT, "precisions": ["int4", "int8", "fp16"]}
SPECS: list[dict[str, Any]] = [
    spec(COCKPIT),
    spec(COCKPIT, ENTRY),
    spec(BOTH, ENTRY),
    spec(BOTH, benchmark={"latencyBudget": "0.5ms"}),
    spec(COCKPIT, benchmark={"latencyBudget": "0.1ms"}),
    spec(
        COCKPIT,
        quantization={"maxAccuracyDrop": 0.0001},
        dataset={"uri": "file:///data/dms.npz", "evaluationSamples": 30_000},
    ),
    spec(COCKPIT, quantization={"calibration": "entropy"}),
    spec(COCKPIT, {"name": "second", "board": "sa8255"}, model={"uri": "file:///models/other.onnx"}),
    spec({"name": "lab", "board": "generic-x86", "precisions": ["fp32"]}),
]
SCRIPTS = [
    Script(),
    Script(drops={"int8-minmax": 0.05, "int8-percentile": 0.03, "int4": 0.2}),
    Script(drops={"int8-minmax": 0.006, "int8-percentile": 0.02}),
    Script(drops={"int8": 0.006, "int8-percentile": 0.02, "int4": 0.007}),
    Script(failures={"convert-tda4vm": failure()}, bounds={"int4": "0.600ms", "int8": "0.400ms"}),
    Script(failures={"convert-int8": failure("UnsupportedOperators", "GridSample x2 is not supported")}),
    Script(failures={"resolve": failure("SourceNotFound", "nothing is stored at file:///models/driver.pt2")}),
]

picks = st.integers(0, 50)


class Interleavings(RuleBasedStateMachine):
    """Everything that may happen to a deployment and to the operator, in any order; then the disturbances stop.

    `pytest --hypothesis-seed=N` repeats a run; a failure prints its steps as a program.
    """

    @initialize(index=st.sampled_from(range(len(SPECS))), script=st.sampled_from(SCRIPTS))
    def begin(self, index: int, script: Script) -> None:
        self.script = script
        self.world = World(deployment(copy.deepcopy(SPECS[index])), script)
        self.seen: tuple[Observed, dict[str, Any]] | None = None
        self.retries = 0
        self.achieved: tuple[int, set[str]] = (-1, set())
        self.past: dict[str, Any] = {}

    # What goes as it should. Twice each, so that most runs get somewhere.

    @rule()
    def reconcile(self) -> None:
        wanted = self.world.plan()
        self._carry_out(wanted, write=True)
        if wanted.delete:
            return  # the watch will tell that they are gone
        again = self.world.plan()
        assert (again.create, again.delete, again.events) == ([], [], []), "a second look finds nothing to do"
        assert again.status == self.world.observed().status

    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        if name := self._live(pick):
            self.world.finish(name)

    @rule(pick=picks)
    def finish_and_reconcile(self, pick: int) -> None:
        self.finish(pick)
        self.reconcile()

    @rule(pick=picks)
    def start(self, pick: int) -> None:
        if (name := self._live(pick)) and not self.world.pods[name]:
            self.world.start(name)

    @rule(seconds=st.integers(0, 20))
    def tick(self, seconds: int) -> None:
        self.world.tick(seconds)

    # What goes wrong.

    @rule(pick=picks)
    def a_pod_fails(self, pick: int) -> None:
        if name := self._live(pick):
            self.world.stumble(name)

    @rule(pick=picks)
    def a_job_runs_out_of_retries(self, pick: int) -> None:
        if name := self._live(pick):
            self.world.stumble(name, "not JSON")
            self.world.conclude(name, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    @rule(pick=picks)
    def the_pods_of_a_job_are_lost(self, pick: int) -> None:
        if name := self._any(pick):
            self.world.pods[name] = []

    @rule(pick=picks)
    def somebody_deletes_a_job(self, pick: int) -> None:
        if name := self._any(pick):
            self.world.delete(name)

    @rule(board=st.sampled_from(sorted(BOARDS)))
    def a_board_goes(self, board: str) -> None:
        self.world.boards[board] = BoardCount()

    @rule(board=st.sampled_from(sorted(BOARDS)))
    def a_board_comes(self, board: str) -> None:
        self.world.boards[board] = BOARDS[board]

    @rule(seconds=st.integers(-600, 600))
    def the_clock_jumps(self, seconds: int) -> None:
        self.world.tick(seconds)

    @rule()
    def the_operator_restarts(self) -> None:
        """Only what the API server keeps survives; the planner keeps nothing."""
        self.seen = None

    @rule()
    def the_cache_falls_behind(self) -> None:
        self.seen = (copy.deepcopy(self.world.observed()), copy.deepcopy(self.world.body))

    @rule()
    def a_plan_from_a_stale_cache_is_carried_out(self) -> None:
        """The status write then meets a conflict, if anything was written meanwhile."""
        if self.seen:
            stale = plan(self.seen[0], self.world.settings, self.world.now)
            self._carry_out(stale, write=self.seen[1] == self.world.body, is_stale=True)

    @rule()
    def the_operator_dies_before_it_writes_the_status(self) -> None:
        self._carry_out(self.world.plan(), write=False)

    # What people ask for.

    @rule(suspend=st.booleans())
    def suspend_or_resume(self, suspend: bool) -> None:
        self._apply({**self.world.body["spec"], "suspend": suspend})

    @rule(pick=picks)
    def edit(self, pick: int) -> None:
        self._apply(copy.deepcopy(SPECS[pick % len(SPECS)]))

    @rule()
    def retry(self) -> None:
        self.retries += 1
        self.world.annotate(RETRY, f"try-{self.retries}")

    # What has to hold at all times.

    @invariant()
    def no_generation_goes_back(self) -> None:
        status = getattr(self, "world", None) and self.world.status
        if not status:
            return
        generation, before = self.achieved
        assert status["observedGeneration"] >= generation
        known = before if status["observedGeneration"] == generation else set()
        self.achieved = (status["observedGeneration"], known | self._succeeded())

    @invariant()
    def no_failed_gate_advances(self) -> None:
        for target in self.world.status.get("targets", []) if hasattr(self, "world") else ():
            if target["state"] == "Ready":
                [chosen] = [each for each in target["candidates"] if each["variant"] == target["variant"]]
                assert {gate["outcome"] for gate in chosen["gates"]} == {"Pass"}

    def teardown(self) -> None:
        """The disturbances stop: it ends as an undisturbed run ends."""
        if not hasattr(self, "world"):
            return
        self.world.boards = dict(BOARDS)
        if self.world.body["spec"].get("suspend"):
            self.suspend_or_resume(False)
        self.retry()
        ended = self.world.run()
        undisturbed = self._same_past_without_disturbance().run()
        assert list(differences(essence(ended.status), essence(undisturbed.status))) == []

    def _same_past_without_disturbance(self) -> World:
        """A new deployment of the last spec that looks back on the same revisions, as the regression gates do."""
        fresh = deployment(copy.deepcopy(self.world.body["spec"]))
        fresh["metadata"]["generation"] = self.world.body["metadata"]["generation"]
        if self.past:
            fresh["status"] = {"observedGeneration": -1, "revision": copy.deepcopy(self.past)}
        return World(fresh, self.script)

    def _apply(self, wanted: dict[str, Any]) -> None:
        if wanted == self.world.body["spec"]:
            return  # as the API server does: no change, no generation
        self.past = self.world.status.get("revision", {})
        self.world.body["spec"] = wanted
        self.world.body["metadata"]["generation"] += 1

    def _succeeded(self) -> set[str]:
        stages = self.world.status.get("stages", [])
        return {stage["recipe"] for stage in stages if stage["state"] == "Succeeded"}

    def _achieved(self) -> set[str]:
        """What has succeeded since the last edit, wanted or not by now: a success is not done twice."""
        generation, recipes = self.achieved
        return recipes if generation == self.world.body["metadata"]["generation"] else self._succeeded()

    def _live(self, pick: int) -> str | None:
        names = sorted(self.world.unfinished())
        return names[pick % len(names)] if names else None

    def _any(self, pick: int) -> str | None:
        names = sorted(self.world.jobs)
        return names[pick % len(names)] if names else None

    def _carry_out(self, wanted: Plan, *, write: bool, is_stale: bool = False) -> None:
        for name in wanted.delete:
            self.world.delete(name)
        for manifest in wanted.create:
            recipe = manifest["metadata"]["annotations"][RECIPE_DIGEST]
            assert is_stale or recipe not in self._achieved(), "what has succeeded is not run again"
            self.world.create(manifest)
        if write:
            self.world.write(wanted)


CIRCUMSTANCES = ("lastTransitionTime", "startedAt", "finishedAt", "attempts", "job", "handledRetry", "history")


def essence(value: Any) -> Any:
    """A status without times and without the traces of how it came about."""
    if isinstance(value, dict):
        return {key: essence(item) for key, item in value.items() if key not in CIRCUMSTANCES}
    return [essence(item) for item in value] if isinstance(value, list) else value


_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking in the default run: it may take longer than the run is allowed to."""


def test_any_interleaving_ends_well_after_some_1200_steps() -> None:
    steps = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        phases=_PHASES,
        suppress_health_check=list(HealthCheck),
        derandomize=True,  # the same steps each time: it is the long run that looks for new ones
    )
    run_state_machine_as_test(Interleavings, settings=steps)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_interleaving_ends_well_after_some_100000_steps() -> None:
    steps = settings(max_examples=1500, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Interleavings, settings=steps)


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
