"""Volumes of a pod as directories of this machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dms_operator.devcluster.controllers.meta import Object

from .environment import ConfigError, Context, decoded, field_value, find, resource_value

_serial = itertools.count(1)
Payload = dict[str, tuple[bytes, int]]
_DEFAULT_MODE = 0o644


class MountError(Exception):
    """A volume is not ready (FailedMount); `volume` is its name, the text is what a kubelet reports."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {message}')


@dataclass(frozen=True)
class VolumeSources:
    """Where volumes of a pod come from."""

    context: Context
    directory: Path
    token: Callable[[str], str]
    claim: Callable[[str], Object | None]
    volume: Callable[[str], Object | None]


def set_up_volumes(sources: VolumeSources) -> dict[str, Path]:
    """Make every volume of the pod; return its path by name. Raises MountError."""
    made = {}
    for volume in sources.context.pod["spec"].get("volumes") or []:
        try:
            made[volume["name"]] = _set_up(volume, sources)
        except (ConfigError, OSError) as problem:
            raise MountError(volume["name"], str(problem)) from problem
    return made


def _set_up(volume: Object, sources: VolumeSources) -> Path:
    if "hostPath" in volume:
        return host_path(volume["hostPath"])
    if "persistentVolumeClaim" in volume:
        return _claimed(volume["persistentVolumeClaim"]["claimName"], sources)
    directory = sources.directory / str(volume["name"])
    directory.mkdir(parents=True, exist_ok=True)
    if "emptyDir" not in volume:
        write_payload(directory, _payload(volume, sources))
    return directory


def host_path(source: Object) -> Path:
    """Return a hostPath after the check that its type asks for. Raises ConfigError."""
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    if kind.startswith("Directory") and not path.is_dir():
        raise ConfigError(f"hostPath type check failed: {path} is not a directory")
    if kind.startswith("File") and not path.is_file():
        raise ConfigError(f"hostPath type check failed: {path} is not a file")
    return path


def _claimed(name: str, sources: VolumeSources) -> Path:
    claim = sources.claim(name)
    if claim is None:
        raise ConfigError(f'persistentvolumeclaim "{name}" not found')
    bound = claim["spec"].get("volumeName")
    volume = sources.volume(bound) if bound else None
    if volume is None:
        raise ConfigError(f'persistentvolumeclaim "{name}" is not bound')
    if "hostPath" not in volume["spec"]:
        raise ConfigError(f'persistentvolume "{bound}" is not a hostPath, which is all that the dev cluster mounts')
    return host_path({"type": "DirectoryOrCreate", **volume["spec"]["hostPath"]})


def _payload(volume: Object, sources: VolumeSources) -> Payload:
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            source = volume[kind]
            return _source_payload(kind, source, sources, source.get("defaultMode", _DEFAULT_MODE))
    if "projected" in volume:
        return _projected(volume["projected"], sources)
    kinds = ", ".join(key for key in volume if key != "name")
    raise ConfigError(f"volume type {kinds} is not supported by the dev cluster")


def _projected(projected: Object, sources: VolumeSources) -> Payload:
    mode = projected.get("defaultMode", _DEFAULT_MODE)
    payload: Payload = {}
    for source in projected.get("sources") or []:
        for kind, content in source.items():
            payload |= _source_payload(kind, content, sources, mode)
    return payload


def _source_payload(kind: str, source: Object, sources: VolumeSources, mode: int) -> Payload:
    match kind:
        case "configMap":
            return _object_payload("configmaps", source, source["name"], sources.context, mode)
        case "secret":
            name = source.get("secretName") or source["name"]
            return _object_payload("secrets", source, name, sources.context, mode)
        case "downwardAPI":
            return _downward(source, sources.context, mode)
        case "serviceAccountToken":
            account = sources.context.pod["spec"].get("serviceAccountName", "default")
            return {source["path"]: (sources.token(account).encode(), mode)}
        case _:
            raise ConfigError(f"projected source {kind} is not supported by the dev cluster")


def _object_payload(resource: str, source: Object, name: str, context: Context, mode: int) -> Payload:
    found = find(resource, {"name": name, "optional": source.get("optional")}, context)
    if found is None:
        return {}
    data = decoded(resource, found)
    if not source.get("items"):
        return {key: (value, mode) for key, value in data.items()}
    missing = [item["key"] for item in source["items"] if item["key"] not in data]
    if missing and not source.get("optional"):
        raise ConfigError(f"references non-existent {resource[:-1]} key: {missing[0]}")
    present = [item for item in source["items"] if item["key"] in data]
    return {item["path"]: (data[item["key"]], item.get("mode", mode)) for item in present}


def _downward(source: Object, context: Context, mode: int) -> Payload:
    payload: Payload = {}
    for item in source.get("items") or []:
        if "fieldRef" in item:
            value = field_value(item["fieldRef"]["fieldPath"], context)
        else:
            value = resource_value(item["resourceFieldRef"], context.pod["spec"]["containers"][0], context)
        payload[item["path"]] = (value.encode(), item.get("mode", mode))
    return payload


def write_payload(directory: Path, payload: Payload) -> None:
    """Write files as kubelet's atomic writer does: a dated directory, `..data`, and a link for each file."""
    dated = directory / datetime.now(UTC).strftime(f"..%Y_%m_%d_%H_%M_%S.{next(_serial)}")
    for path, (content, mode) in payload.items():
        target = dated / path
        if not target.resolve().is_relative_to(dated.resolve()):
            raise ConfigError(f"path {path!r} leaves its volume")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode & ~0o222)
    dated.mkdir(exist_ok=True)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(dated.name)
    fresh.replace(directory / "..data")
    for top in {path.split("/")[0] for path in payload}:
        if not (directory / top).is_symlink():
            (directory / top).symlink_to(f"..data/{top}")
