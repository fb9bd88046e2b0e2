"""spec.suspend: nothing new is started, running stages end by themselves, nothing is lost."""

from controller.builders import Script, failure, world


def test_a_suspended_deployment_starts_nothing() -> None:
    new = world(suspend=True)
    assert new.reconcile().create == []
    assert new.status["phase"] == "Suspended"
    assert new.condition("Ready")["reason"] == "Suspended"
    assert "Reconciling" not in new.conditions


def test_a_running_stage_ends_by_itself_and_its_answer_is_kept() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.start(name)
    new.edit(suspend=True)
    assert new.reconcile().delete == []
    assert "running stages (1) end by themselves" in new.condition("Ready")["message"]
    new.finish(name)
    assert new.reconcile().create == []
    assert new.status["model"]["digest"]


def test_resuming_goes_on_with_what_is_missing() -> None:
    new = world(suspend=True)
    new.reconcile()
    new.edit(suspend=False)
    new.run()
    assert new.status["phase"] == "Ready"
    assert [event.reason for event in new.events if event.reason in ("Suspended", "Resumed")] == [
        "Suspended",
        "Resumed",
    ]


def test_a_ready_deployment_stays_ready_while_suspended() -> None:
    done = world().run()
    done.edit(suspend=True)
    done.reconcile()
    assert done.condition("Ready")["status"] == "True"
    assert done.status["phase"] == "Suspended"


def test_suspending_is_not_a_superseded_revision() -> None:
    new = world()
    new.reconcile()
    new.edit(suspend=True)
    new.reconcile()
    assert new.status["history"] == []


def test_a_failed_job_is_kept_for_reading_while_suspended() -> None:
    done = world(script=Script(failures={"convert": failure()})).run()
    done.edit(suspend=True)
    assert done.reconcile().delete == []
    done.edit(suspend=False)
    assert len(done.reconcile().delete) == 1
