"""The table of controls finds what it is there to find: a good pod passes, and each single change is named."""

import copy
from typing import Any

import pytest

from security.standard import CONTROLS, violations

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
}
OF_POD: list[tuple[str, dict[str, Any]]] = [
    ("Host Namespaces", {"hostNetwork": True}),
    ("Host Namespaces", {"hostPID": True}),
    ("Host Namespaces", {"hostIPC": True}),
    ("Volume Types", {"volumes": [{"name": "v", "hostPath": {"path": "/dev"}}]}),
    ("Volume Types", {"volumes": [{"name": "v", "nfs": {}}]}),
    ("Running as Non-root", {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
    ("Seccomp", {"securityContext": {"runAsNonRoot": True}}),
    ("Sysctls", {"securityContext": GOOD["securityContext"] | {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}),
    ("Running as Non-root user", {"securityContext": GOOD["securityContext"] | {"runAsUser": 0}}),
]
OF_CONTAINER: list[tuple[str, dict[str, Any]]] = [
    ("Privileged Containers", {"privileged": True}),
    ("Capabilities", {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
    ("Capabilities", {"capabilities": {"drop": ["KILL"]}}),
    ("AppArmor", {"appArmorProfile": {"type": "Unconfined"}}),
    ("SELinux", {"seLinuxOptions": {"type": "spc_t"}}),
    ("/proc Mount Type", {"procMount": "Unmasked"}),
    ("Privilege Escalation", {"allowPrivilegeEscalation": True}),
    ("Running as Non-root", {"runAsNonRoot": False}),
    ("Running as Non-root user", {"runAsUser": 0}),
    ("Seccomp", {"seccompProfile": {"type": "Unconfined"}}),
    ("HostProcess", {"windowsOptions": {"hostProcess": True}}),
]
OF_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("Host Ports", {"ports": [{"containerPort": 80, "hostPort": 80}]}),
    ("Host Probes / Lifecycle Hooks", {"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
]


def test_a_restricted_pod_has_no_violations() -> None:
    assert violations(GOOD) == set()


@pytest.mark.parametrize(("control", "change"), OF_POD)
def test_a_change_of_the_pod_is_found(control: str, change: dict[str, Any]) -> None:
    assert {each.partition(":")[0] for each in violations({**GOOD, **change})} == {control}


@pytest.mark.parametrize(("control", "change"), OF_CONTAINER)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_change_of_a_container_is_found(kind: str, control: str, change: dict[str, Any]) -> None:
    container = copy.deepcopy(GOOD["containers"][0])
    container["securityContext"] |= change
    assert {each.partition(":")[0] for each in violations({**GOOD, kind: [container]})} == {control}


@pytest.mark.parametrize(("control", "change"), OF_FIELDS)
def test_a_field_of_a_container_is_found(control: str, change: dict[str, Any]) -> None:
    assert violations({**GOOD, "containers": [GOOD["containers"][0] | change]}) == {f"{control}: c"}


def test_every_control_has_its_test() -> None:
    assert {control for control, _ in (*OF_POD, *OF_CONTAINER, *OF_FIELDS)} == set(CONTROLS)
