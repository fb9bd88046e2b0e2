"""Pod Security admission, level `restricted` (https://kubernetes.io/docs/concepts/security/pod-security-standards)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster import errors

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

Object = Mapping[str, Any]

_LABEL = "pod-security.kubernetes.io/"
_PROFILES = ("RuntimeDefault", "Localhost")


def _level(registry: Registry, namespace: str, mode: str) -> str:
    found = registry.store.get("namespaces", "", namespace)
    labels = (found.object["metadata"].get("labels") or {}) if found else {}
    return str(labels.get(_LABEL + mode, "privileged"))


def enforce(pod: Object, registry: Registry, warnings: list[str]) -> None:
    """Raise 403 for a pod that the namespace's `enforce` level forbids."""
    metadata = pod["metadata"]
    violations = restricted_violations(pod["spec"])
    if violations and _level(registry, metadata["namespace"], "enforce") == "restricted":
        info = registry.resources.named("pods")
        message = f'violates PodSecurity "restricted:latest": {violations}'
        raise errors.forbidden(info, metadata.get("name", ""), message)


def warn(spec: Object, namespace: str, registry: Registry, warnings: list[str]) -> None:
    """Add the warning that the namespace's `warn` level asks for, about a pod template."""
    violations = restricted_violations(spec)
    if violations and _level(registry, namespace, "warn") == "restricted":
        warnings.append(f'would violate PodSecurity "restricted:latest": {violations}')


def restricted_violations(spec: Object) -> str:
    """What keeps a pod spec from being restricted, in the admission's words; empty when nothing."""
    return ", ".join(text for check in _CHECKS for text in check(spec))


def _containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def _failing(spec: Object, bad: Callable[[Object], bool]) -> str:
    names = [f'"{one["name"]}"' for one in _containers(spec) if bad(one.get("securityContext") or {})]
    if not names:
        return ""
    return f"container{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _escalation(spec: Object) -> Iterator[str]:
    who = _failing(spec, lambda context: context.get("allowPrivilegeEscalation") is not False)
    if who:
        yield f"allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"


def _capabilities(spec: Object) -> Iterator[str]:
    who = _failing(spec, lambda context: "ALL" not in ((context.get("capabilities") or {}).get("drop") or ()))
    if who:
        yield f'unrestricted capabilities ({who} must set securityContext.capabilities.drop=["ALL"])'


def _host_paths(spec: Object) -> Iterator[str]:
    names = [f'"{one["name"]}"' for one in spec.get("volumes", ()) if "hostPath" in one]
    if names:
        noun = "volumes" if len(names) > 1 else "volume"
        yield f'restricted volume types ({noun} {", ".join(names)} uses restricted volume type "hostPath")'


def _non_root(spec: Object) -> Iterator[str]:
    if (spec.get("securityContext") or {}).get("runAsNonRoot"):
        who = _failing(spec, lambda context: context.get("runAsNonRoot") is False)
    else:
        who = _failing(spec, lambda context: context.get("runAsNonRoot") is not True)
    if who:
        yield f"runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)"


def _seccomp(spec: Object) -> Iterator[str]:
    if _profile(spec.get("securityContext") or {}) in _PROFILES:
        return
    who = _failing(spec, lambda context: _profile(context) not in _PROFILES)
    if who:
        wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield f"seccompProfile (pod or {who} must set {wanted})"


def _profile(context: Object) -> str:
    return str((context.get("seccompProfile") or {}).get("type", ""))


_CHECKS = (_escalation, _capabilities, _host_paths, _non_root, _seccomp)
