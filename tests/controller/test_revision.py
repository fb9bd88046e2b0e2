"""Revisions and history: a revision is what changes bytes on the vehicle, and nothing else."""

from controller.builders import COCKPIT, ENTRY, Script, failure, world


def test_a_ready_deployment_has_a_revision_of_twelve_hex_digits() -> None:
    revision = world().run().status["revision"]
    assert len(revision["current"]) == 12
    int(revision["current"], 16)
    assert revision["stable"] == revision["current"]
    assert "previous" not in revision


def test_limits_do_not_change_the_revision() -> None:
    done = world().run()
    before = done.status["revision"]
    done.edit(benchmark={"latencyBudget": "40ms"}, quantization={"maxAccuracyDrop": 0.02})
    done.run()
    assert done.status["revision"] == before


def test_other_bytes_are_another_revision_and_the_former_one_is_remembered() -> None:
    done = world().run()
    first = done.status["revision"]["current"]
    done.edit(quantization={"calibration": "mse"})
    done.run()
    revision = done.status["revision"]
    assert revision["current"] != first
    assert revision["previous"] == first


def test_a_deployment_of_which_one_target_failed_has_no_revision() -> None:
    done = world(COCKPIT, ENTRY, script=Script(failures={"convert-tda4vm": failure()})).run()
    assert "revision" not in done.status


def test_with_a_rollout_a_built_revision_is_not_yet_stable() -> None:
    done = world(rollout={"waves": [{"name": "fleet", "size": "100%"}]}).run()
    assert "stable" not in done.status["revision"]


def test_history_tells_ends_newest_first_and_each_once() -> None:
    done = world(script=Script(bounds={"int8": "45ms"})).run()
    done.edit(benchmark={"latencyBudget": "40ms"})
    done.run()
    done.tick(60)
    done.reconcile()
    assert [(entry["generation"], entry["outcome"]) for entry in done.status["history"]] == [
        (2, "Failed"),
        (1, "Ready"),
    ]


def test_an_edit_under_way_is_remembered_as_superseded() -> None:
    new = world()
    new.reconcile()
    new.edit(model={"uri": "file:///models/other.onnx"})
    new.run()
    assert [entry["outcome"] for entry in new.status["history"]] == ["Ready", "Superseded"]


def test_history_is_bounded() -> None:
    done = world().run()
    for budget in range(40, 48):
        done.edit(benchmark={"latencyBudget": f"{budget}ms"})
        done.run()
    assert len(done.status["history"]) == 5
    assert done.status["history"][0]["generation"] == 9
