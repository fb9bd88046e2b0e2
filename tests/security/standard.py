"""The Pod Security Standards, level `restricted` (which includes `baseline`), as published for Kubernetes 1.37.

Every control of https://kubernetes.io/docs/concepts/security/pod-security-standards/, written from that page: the dev
cluster's admission (which the tests run against) must not be what the tests are judged by.
"""

from collections.abc import Callable, Iterator
from typing import Any

Object = dict[str, Any]
Control = Callable[[Object], Iterator[str]]

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}
_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def violations(pod: Object, annotations: Object | None = None) -> set[str]:
    """What keeps a pod spec from the restricted level, as `control: where`."""
    spec = {**pod, "annotations": annotations or {}}
    return {f"{control}: {where}" for control, check in CONTROLS.items() for where in check(spec)}


def _containers(pod: Object) -> Iterator[Object]:
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from pod.get(kind, [])


def _contexts(pod: Object) -> Iterator[tuple[str, Object]]:
    yield "pod", pod.get("securityContext", {})
    for container in _containers(pod):
        yield container["name"], container.get("securityContext", {})


def _host_namespaces(pod: Object) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))


def _windows_host_process(pod: Object) -> Iterator[str]:
    yield from (name for name, one in _contexts(pod) if one.get("windowsOptions", {}).get("hostProcess"))


def _privileged(pod: Object) -> Iterator[str]:
    yield from (name for name, one in _contexts(pod) if one.get("privileged"))


def _capabilities(pod: Object) -> Iterator[str]:
    for container in _containers(pod):
        found = container.get("securityContext", {}).get("capabilities", {})
        if "ALL" not in found.get("drop", []) or not set(found.get("add", [])) <= {"NET_BIND_SERVICE"}:
            yield container["name"]


def _volume_types(pod: Object) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        yield from (f"{volume['name']} ({kind})" for kind in set(volume) - {"name"} - _VOLUMES)


def _host_ports(pod: Object) -> Iterator[str]:
    for container in _containers(pod):
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield container["name"]


def _probe_hosts(pod: Object) -> Iterator[str]:
    for container in _containers(pod):
        hooks = [container.get(f"{kind}Probe", {}) for kind in ("liveness", "readiness", "startup")]
        hooks += container.get("lifecycle", {}).values()
        if any(hook.get(kind, {}).get("host") for hook in hooks for kind in ("httpGet", "tcpSocket")):
            yield container["name"]


def _app_armor(pod: Object) -> Iterator[str]:
    allowed = (None, "RuntimeDefault", "Localhost")
    yield from (name for name, one in _contexts(pod) if one.get("appArmorProfile", {}).get("type") not in allowed)
    for key, value in pod["annotations"].items():
        ours = key.startswith("container.apparmor.security.beta.kubernetes.io/")
        if ours and value != "runtime/default" and not value.startswith("localhost/"):
            yield key


def _selinux(pod: Object) -> Iterator[str]:
    for name, one in _contexts(pod):
        options = one.get("seLinuxOptions", {})
        if options.get("type", "") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
            yield name


def _proc_mount(pod: Object) -> Iterator[str]:
    yield from (name for name, one in _contexts(pod) if one.get("procMount", "Default") != "Default")


def _sysctls(pod: Object) -> Iterator[str]:
    for each in pod.get("securityContext", {}).get("sysctls", []):
        if each["name"] not in _SYSCTLS:
            yield each["name"]


def _escalation(pod: Object) -> Iterator[str]:
    for container in _containers(pod):
        if container.get("securityContext", {}).get("allowPrivilegeEscalation") is not False:
            yield container["name"]


def _non_root(pod: Object) -> Iterator[str]:
    of_pod = pod.get("securityContext", {}).get("runAsNonRoot")
    for container in _containers(pod):
        if container.get("securityContext", {}).get("runAsNonRoot", of_pod) is not True:
            yield container["name"]


def _root_user(pod: Object) -> Iterator[str]:
    yield from (name for name, one in _contexts(pod) if one.get("runAsUser") == 0)


def _seccomp(pod: Object) -> Iterator[str]:
    of_pod = pod.get("securityContext", {}).get("seccompProfile", {})
    for container in _containers(pod):
        found = container.get("securityContext", {}).get("seccompProfile", of_pod)
        if found.get("type") not in ("RuntimeDefault", "Localhost"):
            yield container["name"]


CONTROLS: dict[str, Control] = {
    "HostProcess": _windows_host_process,
    "Host Namespaces": _host_namespaces,
    "Privileged Containers": _privileged,
    "Capabilities": _capabilities,
    "Volume Types": _volume_types,
    "Host Ports": _host_ports,
    "Host Probes / Lifecycle Hooks": _probe_hosts,
    "AppArmor": _app_armor,
    "SELinux": _selinux,
    "/proc Mount Type": _proc_mount,
    "Sysctls": _sysctls,
    "Privilege Escalation": _escalation,
    "Running as Non-root": _non_root,
    "Running as Non-root user": _root_user,
    "Seccomp": _seccomp,
}
