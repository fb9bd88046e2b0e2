"""Who may connect to whom under NetworkPolicies (https://kubernetes.io/docs/concepts/services-networking/network-policies).

Policies add up: a pod that one selects (for a direction) may do what any of them allows, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod, or (without a namespace) an address outside of the cluster."""

    address: str
    namespace: str = ""
    labels: Object = field(default_factory=dict)
    ports: Object = field(default_factory=dict)
    """Ports by the names that its containers give them."""

    @property
    def namespace_labels(self) -> Object:
        """Every namespace carries its name as a label."""
        return {"kubernetes.io/metadata.name": self.namespace}


def reaches(policies: Sequence[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection is allowed by the source's egress and the target's ingress."""
    return _allowed(policies, "Egress", source, target, port, protocol) and _allowed(
        policies, "Ingress", target, source, port, protocol
    )


def _allowed(policies: Sequence[Object], direction: str, subject: Peer, other: Peer, port: int, protocol: str) -> bool:
    selecting = [policy for policy in policies if _selects(policy, direction, subject)]
    target = other if direction == "Egress" else subject
    return not selecting or any(
        _rule_allows(rule, direction, policy, other, target, port, protocol)
        for policy in selecting
        for rule in policy["spec"].get(direction.lower(), [])
    )


def _selects(policy: Object, direction: str, pod: Peer) -> bool:
    spec = policy["spec"]
    return (
        direction in spec["policyTypes"]
        and bool(pod.namespace)
        and policy["metadata"]["namespace"] == pod.namespace
        and matches(spec["podSelector"], pod.labels)
    )


def _rule_allows(
    rule: Object, direction: str, policy: Object, other: Peer, target: Peer, port: int, protocol: str
) -> bool:
    peers, ports = rule.get("to" if direction == "Egress" else "from"), rule.get("ports")
    home = policy["metadata"]["namespace"]
    return (not peers or any(_is_peer(each, other, home) for each in peers)) and (
        not ports or any(_is_port(each, target, port, protocol) for each in ports)
    )


def _is_peer(wanted: Object, peer: Peer, home: str) -> bool:
    if "ipBlock" in wanted:
        address, block = ip_address(peer.address), wanted["ipBlock"]
        excepted = any(address in ip_network(each) for each in block.get("except", []))
        return address in ip_network(block["cidr"]) and not excepted
    if not peer.namespace:
        return False
    if "namespaceSelector" in wanted:
        inside = matches(wanted["namespaceSelector"], peer.namespace_labels)
    else:
        inside = peer.namespace == home
    return inside and matches(wanted.get("podSelector", {}), peer.labels)


def _is_port(wanted: Object, target: Peer, port: int, protocol: str) -> bool:
    named = wanted.get("port")
    number = target.ports.get(named) if isinstance(named, str) else named
    fits = (
        named is None or port == number or (isinstance(number, int) and number <= port <= wanted.get("endPort", number))
    )
    return protocol == wanted.get("protocol", "TCP") and fits


def matches(selector: Object, labels: Object) -> bool:
    """Whether a label selector takes these labels."""
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        _expression(each, labels) for each in selector.get("matchExpressions", [])
    )


def _expression(expression: Object, labels: Object) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", [])
    return {
        "Exists": value is not None,
        "DoesNotExist": value is None,
        "In": value in values,
        "NotIn": value not in values,
    }[str(expression["operator"])]
