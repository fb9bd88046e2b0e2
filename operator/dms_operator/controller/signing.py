"""What a stage pod needs to sign what it writes and to check what it reads."""

from typing import Any

from ..api.stages import StageName
from ..artifacts.signing import SIGNING_KEY_VARIABLE, VERIFICATION_KEY_VARIABLE
from .settings import Signing

_VOLUME = "signing"
_FOLDER = "/etc/dms/signing"
_OWNER_AND_GROUP_MAY_READ = 0o440
_WRITES_NOTHING: frozenset[StageName] = frozenset({"remove"})
"""Stages that neither write artifacts nor use their content: they get no key."""


def volumes(stage: StageName, signing: Signing | None) -> list[dict[str, Any]]:
    """The Secret as a volume."""
    if signing is None or stage in _WRITES_NOTHING:
        return []
    items = [{"key": name, "path": name} for name in (signing.private_key, signing.public_key)]
    secret = {"secretName": signing.secret, "defaultMode": _OWNER_AND_GROUP_MAY_READ, "items": items}
    return [{"name": _VOLUME, "secret": secret}]


def mounts(stage: StageName, signing: Signing | None) -> list[dict[str, Any]]:
    """Where it is mounted."""
    return [{"name": each["name"], "mountPath": _FOLDER, "readOnly": True} for each in volumes(stage, signing)]


def environment(stage: StageName, signing: Signing | None) -> list[dict[str, str]]:
    """Where the stage finds the keys."""
    if signing is None or stage in _WRITES_NOTHING:
        return []
    return [
        {"name": SIGNING_KEY_VARIABLE, "value": f"{_FOLDER}/{signing.private_key}"},
        {"name": VERIFICATION_KEY_VARIABLE, "value": f"{_FOLDER}/{signing.public_key}"},
    ]
