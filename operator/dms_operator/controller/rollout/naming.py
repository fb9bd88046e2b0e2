"""What a revision is called on a vehicle: by its folder there, the vehicle's label, and the runtime's metrics.

Where targets of one board load different artifacts, digits of the artifact follow the revision's own. So a vehicle that
moves to another of these targets is switched to its artifact as to any other revision, with a smoke inference and a way
back. In all other cases it is the revision itself.
"""

from collections import defaultdict
from collections.abc import Iterable

from ...api.rollout_status import Release

ARTIFACT_DIGITS = 12
"""Hex digits of an artifact behind those of its revision."""


def names_on_vehicles(release: Release) -> dict[str, str]:
    """The revision's name on vehicles of each target."""
    artifacts = defaultdict[str, set[str]](set)
    for each in release.targets:
        artifacts[each.board].add(each.compiled)
    return {
        each.target: release.revision + (_digits(each.compiled) if len(artifacts[each.board]) > 1 else "")
        for each in release.targets
    }


def _digits(artifact: str) -> str:
    return artifact.removeprefix("sha256:")[:ARTIFACT_DIGITS]


def is_of(name: str, revisions: Iterable[str]) -> bool:
    """Whether a name on a vehicle is one of these revisions', made for whatever target."""
    return any(name.startswith(revision) for revision in revisions)
