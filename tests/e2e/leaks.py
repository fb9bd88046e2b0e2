"""Where a secret's value shows: everything that a deployment leaves in the cluster, the store and the collector."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from e2e.running import Kubectl, OperatorProcess

KINDS = ("dmsmodeldeployments", "jobs", "pods", "events", "configmaps", "leases", "nodes")
"""All that is in a namespace but the Secrets themselves."""


def places(kubectl: Kubectl, operator: OperatorProcess, *folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every text and file to look through, by what it is."""
    for kind in KINDS:
        for body in kubectl.json("get", kind)["items"]:
            yield f"{kind}/{body['metadata']['name']}", json.dumps(body).encode()
    for pod in kubectl.json("get", "pods")["items"]:
        name = pod["metadata"]["name"]
        yield f"log of {name}", kubectl.run("logs", name, "--tail=-1").stdout.encode()
    yield "log of the operator", operator.log.read_bytes()
    for page in ("/metrics", "/healthz", "/readyz"):
        yield f"the operator's {page}", operator.get(page)[1].encode()
    for folder in folders:
        for path in filter(Path.is_file, folder.rglob("*")):
            data = path.read_bytes()
            yield str(path.relative_to(folder.parent)), gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def found(secret: str, texts: list[tuple[str, bytes]]) -> list[str]:
    """The places that hold a value, plain, quoted for URLs or JSON, or in base64 at any offset."""
    shapes = {secret.encode(), quote(secret).encode(), json.dumps(secret)[1:-1].encode(), *_in_base64(secret.encode())}
    return [place for place, text in texts if any(shape in text for shape in shapes)]


def _in_base64(value: bytes) -> Iterator[bytes]:
    for offset in range(3):
        # the first and last digits depend on the neighbours
        yield base64.b64encode(bytes(offset) + value)[4:-4]


def without_uris(texts: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Objects without what their author wrote into spec.model.uri, and pods and Jobs without their request."""
    return [(place, _scrubbed(text) if "/" in place and text[:1] == b"{" else text) for place, text in texts]


def _scrubbed(text: bytes) -> bytes:
    body: dict[str, Any] = json.loads(text)
    if body.get("kind") == "DMSModelDeployment":
        body.pop("spec")
        body["metadata"].pop("annotations", None)
        body["metadata"].pop("managedFields", None)
    for container in _containers(body):
        container["env"] = [each for each in container["env"] if each["name"] != "DMS_REQUEST"]
    return json.dumps(body).encode()


def _containers(body: dict[str, Any]) -> list[dict[str, Any]]:
    spec = body.get("spec", {})
    containers: list[dict[str, Any]] = spec.get("template", {}).get("spec", spec).get("containers", [])
    return containers
