"""The environment of a container: declared variables, references, and what stands in for its image. Pure."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dms_operator.devcluster.controllers.meta import Object, labels
from dms_operator.devcluster.controllers.quantity import parse_quantity

Lookup = Callable[[str, str], Object | None]
_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_ANNOTATION = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """A container cannot be configured (CreateContainerConfigError); the text is what a kubelet reports."""


@dataclass(frozen=True)
class Context:
    """What references in a pod may point at. `lookup` finds ("configmaps" | "secrets", name) in its namespace."""

    pod: Object
    node: Object
    lookup: Lookup


def declared_environment(container: Object, context: Context) -> dict[str, str]:
    """Return envFrom and env, in order, with $(VAR) expanded. Raises ConfigError."""
    result: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        result |= _all_of(source, context)
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = _referenced(variable["valueFrom"], container, context)
            if value is not None:
                result[variable["name"]] = value
        else:
            result[variable["name"]] = expand(variable.get("value") or "", result)
    return result


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Expand $(NAME); $$ is a dollar sign; an unknown name is left as it stands."""

    def replace(found: re.Match[str]) -> str:
        if found.group(0) == "$$":
            return "$"
        return variables.get(found.group(1), found.group(0))

    return _REFERENCE.sub(replace, text)


def _all_of(source: Object, context: Context) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        if field in source:
            found = find(resource, source[field], context)
            data = decoded(resource, found) if found is not None else {}
            return {prefix + key: value.decode(errors="replace") for key, value in data.items()}
    return {}


def _referenced(source: Object, container: Object, context: Context) -> str | None:
    if "fieldRef" in source:
        return field_value(source["fieldRef"]["fieldPath"], context)
    if "resourceFieldRef" in source:
        return resource_value(source["resourceFieldRef"], container, context)
    if "configMapKeyRef" in source:
        return _key("configmaps", source["configMapKeyRef"], context)
    return _key("secrets", source["secretKeyRef"], context)


def _key(resource: str, reference: Object, context: Context) -> str | None:
    found = find(resource, reference, context)
    if found is None:
        return None
    data = decoded(resource, found)
    if reference["key"] in data:
        return data[reference["key"]].decode(errors="replace")
    if reference.get("optional"):
        return None
    kind = "ConfigMap" if resource == "configmaps" else "Secret"
    home = context.pod["metadata"]["namespace"]
    raise ConfigError(f"couldn't find key {reference['key']} in {kind} {home}/{reference['name']}")


def find(resource: str, reference: Object, context: Context) -> Object | None:
    """Return the config map or secret; None if it is missing and optional. Raises ConfigError."""
    found = context.lookup(resource, reference["name"])
    if found is None and not reference.get("optional"):
        raise ConfigError(f'{resource[:-1]} "{reference["name"]}" not found')
    return found


def decoded(resource: str, obj: Object) -> dict[str, bytes]:
    """Return the data of a config map or secret as bytes."""
    encoded = obj.get("data" if resource == "secrets" else "binaryData") or {}
    binary = {key: base64.b64decode(value) for key, value in encoded.items()}
    if resource == "secrets":
        return binary
    return {**binary, **{key: value.encode() for key, value in (obj.get("data") or {}).items()}}


def field_value(path: str, context: Context) -> str:
    """Return a downward API field. Raises ConfigError for one that does not exist."""
    metadata, spec = context.pod["metadata"], context.pod["spec"]
    subscript = _ANNOTATION.fullmatch(path)
    if subscript:
        return str((metadata.get(subscript.group(1)) or {}).get(subscript.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = labels(context.pod) if path.endswith("labels") else metadata.get("annotations") or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
    values = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        **dict.fromkeys(("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"), "127.0.0.1"),
    }
    if path not in values:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource_value(reference: Object, container: Object, context: Context) -> str:
    """Return a container's request or limit in units of the divisor; a missing limit is the node's."""
    owner = container
    if reference.get("containerName"):
        known = [*context.pod["spec"]["containers"], *(context.pod["spec"].get("initContainers") or [])]
        owner = next(item for item in known if item["name"] == reference["containerName"])
    side, _, resource = reference["resource"].partition(".")
    amount = ((owner.get("resources") or {}).get(side) or {}).get(resource)
    if amount is None and side == "limits":
        amount = context.node["status"]["allocatable"].get(resource)
    divisor = parse_quantity(reference.get("divisor") or "1") or parse_quantity("1")
    return str(math.ceil(parse_quantity(amount or "0") / divisor))
