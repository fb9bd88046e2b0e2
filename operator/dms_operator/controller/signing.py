"""What a stage pod needs to sign what it writes and to check what it reads."""

from typing import Any

from ..api.stages import StageName
from ..artifacts.signing import SIGNING_KEY_VARIABLE, VERIFICATION_KEY_VARIABLE
from .settings import Signing

VOLUME = "signing"
_FOLDER = "/etc/dms/signing"
_OWNER_AND_GROUP_MAY_READ = 0o440
_NO_KEY: frozenset[StageName] = frozenset({"remove", "deactivate"})
"""Stages that neither write artifacts nor use their content: they run without the Secret, also when it is gone."""
_CHECKS_ONLY: frozenset[StageName] = frozenset({"prefetch", "activate"})
"""Stages that use artifacts and write none: they get the public key alone."""


def volumes(stage: StageName, signing: Signing | None) -> list[dict[str, Any]]:
    """The Secret as a volume."""
    names = [name for _, name in _keys(stage, signing)] if signing else []
    if signing is None or not names:
        return []
    items = [{"key": name, "path": name} for name in names]
    secret = {"secretName": signing.secret, "defaultMode": _OWNER_AND_GROUP_MAY_READ, "items": items}
    return [{"name": VOLUME, "secret": secret}]


def mounts(stage: StageName, signing: Signing | None) -> list[dict[str, Any]]:
    """Where it is mounted."""
    return [{"name": each["name"], "mountPath": _FOLDER, "readOnly": True} for each in volumes(stage, signing)]


def environment(stage: StageName, signing: Signing | None) -> list[dict[str, str]]:
    """Where the stage finds the keys."""
    keys = _keys(stage, signing) if signing else []
    return [{"name": variable, "value": f"{_FOLDER}/{name}"} for variable, name in keys]


def _keys(stage: StageName, signing: Signing) -> list[tuple[str, str]]:
    """Variable and entry of the Secret of each key that the stage gets."""
    if stage in _NO_KEY:
        return []
    public = (VERIFICATION_KEY_VARIABLE, signing.public_key)
    return [public] if stage in _CHECKS_ONLY else [(SIGNING_KEY_VARIABLE, signing.private_key), public]
