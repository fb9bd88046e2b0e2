"""Selection: what the status says about the chosen variant, and about those that were not chosen."""

from controller.builders import COCKPIT, Script, failure, latency, world
from dms_operator.api.status import StageStatus
from dms_operator.controller.status_stages import bounded

POWERED = Script(benchmark={"power": "0.8W", "powerProvenance": "measured"})
LADDER = {**COCKPIT, "precisions": ["int4", "int8", "fp16"]}


def test_the_selected_variant_is_told_with_everything_the_board_needs() -> None:
    done = world(script=POWERED, benchmark={"powerBudget": "1000mW"}).run()
    (target,) = done.status["targets"]
    compiled = target["candidates"][0]["compiled"]
    assert target["artifact"] == {
        "uri": f"file:///artifacts/blobs/sha256/{compiled['artifact']['digest'].removeprefix('sha256:')}",
        "digest": compiled["artifact"]["digest"],
        "sizeBytes": 700_000,
    }
    assert target["latency"] == {"p50": "0.400ms", "bound": "0.430ms", "provenance": "simulated"}
    assert (target["power"], target["energyPerInference"], target["node"]) == ("0.8W", "0.32mJ", "board-1")


def test_energy_is_the_boards_own_figure_where_there_is_one() -> None:
    measured = {"power": "0.8W", "powerProvenance": "measured", "energyPerInference": "0.35mJ", "memory": "12Mi"}
    done = world(script=Script(benchmark={**measured, "memoryProvenance": "measured"})).run()
    (target,) = done.status["targets"]
    assert target["energyPerInference"] == "0.35mJ"
    assert (target["memory"], target["memoryProvenance"]) == ("12Mi", "measured")


def test_camera_to_decision_is_told_beside_the_networks_latency_and_shown_as_p99() -> None:
    figure = latency("estimated", "4ms", p50="3ms", samples=700).to_wire()
    wanted = {"endToEnd": {}, "minProvenance": "estimated"}
    done = world(script=Script(benchmark={"endToEnd": figure}), benchmark=wanted).run()
    (target,) = done.status["targets"]
    assert target["latency"] == {"p50": "0.400ms", "bound": "0.430ms", "provenance": "simulated"}
    assert target["endToEnd"] == {"p50": "3ms", "bound": "4ms", "provenance": "estimated"}
    assert (done.status["summary"]["p99"], done.status["summary"]["provenance"]) == ("4 ms estimated", "estimated")


def test_gates_of_the_selected_variant_are_all_passed_and_told() -> None:
    done = world(benchmark={"powerBudget": "1000mW"}, script=POWERED).run()
    gates = done.status["targets"][0]["candidates"][0]["gates"]
    assert [gate["name"] for gate in gates] == [
        "accuracy",
        "delegation",
        "provenance",
        "accuracyOnTarget",
        "latency",
        "power",
        "accuracyRegression",
        "latencyRegression",
    ]
    assert {gate["outcome"] for gate in gates} == {"Pass"}


def test_a_slow_precision_gives_way_to_the_next_one_and_stays_told() -> None:
    done = world(LADDER, benchmark={"latencyBudget": "0.5ms"}, script=Script(bounds={"int8": "0.600ms"})).run()
    (target,) = done.status["targets"]
    assert target["variant"] == "int4-qnn-a8-rounded"
    assert [each["variant"] for each in target["candidates"]] == ["int8-qnn", "int4-qnn-a8-rounded"]
    assert target["candidates"][0]["gates"][-1]["message"] == "latency at most 0.6 ms (simulated), budget 0.5 ms"


def test_accuracy_lost_on_target_leads_to_the_next_rung() -> None:
    lost = {"accuracyOnTargetDrop": 0.5}
    done = world(script=Script(benchmark=lost)).run()
    tried = [each["variant"] for each in done.status["targets"][0]["candidates"]]
    assert (tried[0], tried[-1]) == ("int8-qnn", "int8-qnn-qat")
    assert done.status["targets"][0]["reason"] == "AccuracyGateFailed"
    assert "on target (simulated, 16 samples)" in done.status["targets"][0]["message"]


def test_evidence_that_is_lacking_is_not_looked_for_in_other_variants() -> None:
    cases = [
        ("ProvenanceTooWeak", world(LADDER, benchmark={"minProvenance": "measured"})),
        ("PowerUnavailable", world(LADDER, benchmark={"powerBudget": "1W"})),
        ("AccuracyInconclusive", world(LADDER, script=Script(benchmark={"accuracyOnTarget": None}))),
    ]
    for reason, new in cases:
        (target,) = new.run().status["targets"]
        assert (target["reason"], len(target["candidates"])) == (reason, 1)


def test_a_target_may_accept_weaker_evidence_than_the_others() -> None:
    estimated = Script(benchmark={"latencies": [latency("estimated").to_wire()]})
    entry = {"name": "entry", "board": "sa8255", "minProvenance": "estimated"}
    done = world(COCKPIT, entry, script=estimated).run()
    assert [target["state"] for target in done.status["targets"]] == ["Failed", "Ready"]
    assert done.status["targets"][0]["reason"] == "ProvenanceTooWeak"


def test_a_measured_figure_outweighs_a_simulated_one() -> None:
    figures = [latency().to_wire(), latency("measured", "0.700ms", p99="0.650ms", samples=1024).to_wire()]
    done = world(script=Script(benchmark={"latencies": figures})).run()
    assert done.status["targets"][0]["latency"]["provenance"] == "measured"
    assert done.status["summary"]["p99"] == "0.65 ms measured"


def test_every_precision_that_failed_is_named_with_its_own_cause() -> None:
    script = Script(
        drops={"int4": 0.2},
        bounds={"int8": "61ms"},
        failures={"convert-fp16": failure("ConversionFailed", "HTP says no")},
    )
    done = world(LADDER, script=script).run()
    assert done.status["targets"][0]["message"] == (
        "int8: latency at most 61 ms (simulated), budget 50 ms; "
        "int4: lost 20.0 points of top1 on 1000 samples, at least 18.0 points at 95 % confidence, 1.0 points allowed "
        "(best of 6 tried: int4-qnn-a8-rounded); "
        "fp16: HTP says no"
    )


def test_the_reference_is_always_told_among_the_variants() -> None:
    done = world().run()
    assert [variant["name"] for variant in done.status["variants"]] == ["fp32", "int8-qnn"]


def test_stages_beyond_the_bound_of_status_drop_old_successes_but_no_failure() -> None:
    digest = "sha256:" + "ab" * 32
    entries = [
        StageStatus(name=str(n), stage="convert", recipe=digest, state="Failed" if n == 0 else "Succeeded")
        for n in range(6)
    ]
    assert [entry.name for entry in bounded(entries, 3)] == ["0", "4", "5"]


def test_a_variant_that_several_targets_use_is_told_once() -> None:
    lab = {"name": "lab", "board": "generic-x86", "precisions": ["fp32"]}
    done = world(COCKPIT, {"name": "second", "board": "sa8255"}, lab).run()
    assert [variant["name"] for variant in done.status["variants"]] == ["fp32", "int8-qnn"]
