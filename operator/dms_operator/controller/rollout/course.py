"""The course of a rollout from wave to wave: waiting, updating, soaking, completed; or towards a rollback."""

from dataclasses import dataclass

from ...api.base import digest_of
from ...api.rollout import RolloutSpec
from ...api.rollout_status import RolloutStatus
from ..text import clip, parse_timestamp, timestamp
from .choice import Choice, choose
from .gates import Judgement, Witnesses, judged, soak_end
from .pauses import FORWARD, Found, found_pauses, trouble
from .scene import Scene

REFUSED_LIMIT = 5


@dataclass(frozen=True)
class Course:
    """Where a rollout stands after this look."""

    status: RolloutStatus
    choice: Choice
    pauses: list[Found]


def waves_hash(rollout: RolloutSpec) -> str:
    """Digest of the waves, by which edited ones are told."""
    return digest_of([wave.to_wire() for wave in rollout.waves])[7:19]


def begun(scene: Scene, before: RolloutStatus | None) -> RolloutStatus:
    """The rollout as it stood, or a new one: for another revision, after a retry, or with other waves."""
    fresh = RolloutStatus(revision=scene.revision, waves_hash=waves_hash(scene.rollout))
    if before is None:
        return fresh
    fresh = fresh.model_copy(update={"refused": before.refused, "completed": before.completed})
    if scene.revision in before.refused:
        return _of_refused(scene, before, fresh)
    if before.revision != scene.revision:
        return _returning(scene, fresh) if scene.revision == before.completed else fresh
    if before.waves_hash != fresh.waves_hash and (before.state != "Completed" or not _is_there_already(scene)):
        return fresh.model_copy(update={"pauses": before.pauses})
    soaks_anew = before.state == "Soaking" and scene.retry
    update = {"waves_hash": fresh.waves_hash}
    update |= {"reached_at": timestamp(scene.now)} if soaks_anew else {}
    update |= {"progressed_at": timestamp(scene.now)} if scene.retry else {}
    return before.model_copy(update=update)


def remembered(before: RolloutStatus | None) -> RolloutStatus | None:
    """What stays known while the spec has no rollout: what the whole fleet has, and what was refused."""
    if before is None or not (before.completed or before.refused):
        return None
    return RolloutStatus(completed=before.completed, refused=before.refused)


def _returning(scene: Scene, fresh: RolloutStatus) -> RolloutStatus:
    """What the whole fleet had before needs no proof again: it begins with the last wave, and waits for nobody."""
    now = timestamp(scene.now)
    update = {"state": "Updating", "wave_index": len(scene.rollout.waves) - 1, "started_at": now, "progressed_at": now}
    return fresh.model_copy(update=update)


def _of_refused(scene: Scene, before: RolloutStatus, fresh: RolloutStatus) -> RolloutStatus:
    """A revision that was taken back stays so, until a retry names it."""
    if scene.retry.startswith(scene.revision):
        left = [revision for revision in before.refused if revision != scene.revision]
        return fresh.model_copy(update={"refused": left})
    if before.revision == scene.revision and before.state in ("RollingBack", "RolledBack"):
        return before
    return fresh.model_copy(update={"state": "RollingBack", "cause": "it was taken back before"})


def _is_there_already(scene: Scene) -> bool:
    """Whether edited waves of a completed rollout ask for nothing more."""
    return not choose(scene, scene.release, scene.desired(scene.rollout.waves[-1])).chosen


def advanced(scene: Scene, status: RolloutStatus) -> Course:
    """Go on as far as the facts allow."""
    while True:
        choice = choose(scene, scene.release, scene.desired(scene.wave(status)))
        judgement = _judgement(scene, status, choice)
        following = _following(scene, status, choice, judgement)
        if following is None:
            return Course(status, choice, found_pauses(scene, status, choice, judgement))
        status = following


def _judgement(scene: Scene, status: RolloutStatus, choice: Choice) -> Judgement:
    if status.state != "Soaking":
        return Judgement("Waiting")
    return judged(scene.rollout, scene.fleet, witnesses(scene, status, choice), is_soaked(scene, status), scene.now)


def witnesses(scene: Scene, status: RolloutStatus, choice: Choice) -> Witnesses:
    """Vehicles that run the revision, were here when the soak began, and still are.

    Were those needed that come while it lasts, a large fleet's soak would never end. A silent vehicle may have failed,
    so as many may be silent as may fail.
    """
    assert status.reached_at is not None
    reached = parse_timestamp(status.reached_at)
    seen = (member.vehicle for member in choice.updated if member.vehicle.away_since is None)
    names = [vehicle.name for vehicle in seen if vehicle.here_since is None or vehicle.here_since <= reached]
    return Witnesses(names, scene.max_failures)


def is_soaked(scene: Scene, status: RolloutStatus) -> bool:
    """Whether the present wave has soaked."""
    assert status.reached_at is not None
    return scene.now >= soak_end(scene.rollout, scene.wave(status), parse_timestamp(status.reached_at))


def _following(scene: Scene, status: RolloutStatus, choice: Choice, judgement: Judgement) -> RolloutStatus | None:
    """The next state, if its time has come."""
    if status.state not in FORWARD:
        return None
    if scene.is_aborted and can_go_back(scene, status):
        return going_back(scene, status, "a person asked for it")
    found = trouble(scene, status, choice, judgement)
    if found:
        goes_back = scene.rollout.failure_policy.action == "Rollback" and can_go_back(scene, status)
        return going_back(scene, status, found[1]) if goes_back else None
    return None if found_pauses(scene, status, choice, judgement) else _forward(scene, status, choice, judgement)


def _forward(scene: Scene, status: RolloutStatus, choice: Choice, judgement: Judgement) -> RolloutStatus | None:
    """The next state of a rollout that nothing holds up."""
    now = timestamp(scene.now)
    match status.state:
        case "Waiting":
            started = status.started_at or now
            return status.model_copy(update={"state": "Updating", "started_at": started, "progressed_at": now})
        case "Updating" if choice.reached and _was_shown(scene, status):
            return _after_wave(scene, status)
        case "Updating" if choice.reached:
            return status.model_copy(update={"state": "Soaking", "reached_at": now})
        case "Soaking" if judgement.verdict == "Passed" and is_soaked(scene, status):
            return _after_wave(scene, status)
    return None


def _was_shown(scene: Scene, status: RolloutStatus) -> bool:
    """Whether the last wave of a revision that was completed before is under way: nothing is left to be shown."""
    return status.completed == scene.revision and status.wave_index >= len(scene.rollout.waves) - 1


def _after_wave(scene: Scene, status: RolloutStatus) -> RolloutStatus:
    index = status.wave_index + 1
    if index < len(scene.rollout.waves):
        return status.model_copy(update={"state": "Waiting", "wave_index": index, "reached_at": None})
    end = {"state": "Completed", "finished_at": timestamp(scene.now), "completed": scene.revision}
    return status.model_copy(update=end)


def can_go_back(scene: Scene, status: RolloutStatus) -> bool:
    """Whether there is something to go back from: a revision that was completed before is what one goes back to."""
    return status.completed != scene.revision


def going_back(scene: Scene, status: RolloutStatus, why: str) -> RolloutStatus:
    """The rollback begins; its revision is refused from now on."""
    refused = [scene.revision, *(each for each in status.refused if each != scene.revision)][:REFUSED_LIMIT]
    return status.model_copy(
        update={"state": "RollingBack", "refused": refused, "cause": clip(why, 512), "reached_at": None}
    )
