"""What the fault suite asks the cluster, over connections that are not the operator's."""

import json
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from dms_operator.devcluster.faults.happenings import HAPPENING, Happening
from dms_operator.devcluster.faults.rules import FaultPlan

_RESOURCES = {
    "deployments": "/apis/dms.edge/v1alpha1/namespaces/{namespace}/dmsmodeldeployments",
    "jobs": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "configmaps": "/api/v1/namespaces/{namespace}/configmaps",
    "nodes": "/api/v1/nodes",
}
_TRIES = 500
_PAUSE_SECONDS = 0.05
_BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout, json.JSONDecodeError)


class Client:
    """A small client of the API server; repeats what a fault has broken. For one thread."""

    def __init__(self, kubeconfig: Path, namespace: str, scratch: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        [cluster], [user] = config["clusters"], config["users"]
        authority = scratch / "authority.pem"
        authority.write_bytes(b64decode(cluster["cluster"]["certificate-authority-data"]))
        self.namespace = namespace
        self._server = cluster["cluster"]["server"]
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = str(authority)
        self._http.headers.update({"Authorization": f"Bearer {user['user']['token']}", "User-Agent": "fault-suite"})
        self._pause = threading.Event()

    def list(self, resource: str) -> list[dict[str, Any]]:
        """All objects of a resource in the namespace."""
        items: list[dict[str, Any]] = self._ask("GET", self._path(resource)).json()["items"]
        return items

    def create(self, resource: str, body: dict[str, Any]) -> None:
        """Create an object; one that exists is left as it is."""
        self._ask("POST", self._path(resource), body, expected=(409,))

    def patch(self, resource: str, name: str, body: dict[str, Any]) -> None:
        """Merge-patch an object; one that is gone is left alone."""
        headers = {"Content-Type": "application/merge-patch+json"}
        self._ask("PATCH", f"{self._path(resource)}/{name}", body, expected=(404,), headers=headers)

    def delete(self, resource: str, name: str) -> None:
        """Delete an object; its dependants go by garbage collection."""
        self._ask("DELETE", f"{self._path(resource)}/{name}", expected=(404,))

    def follow(self, plan: FaultPlan) -> None:
        """Replace the plan of faults."""
        self._ask("POST", "/-/faults", plan.model_dump(mode="json"))

    def happen(self, event: Happening) -> bool:
        """Let something happen; False where there was nothing to happen to."""
        body = json.loads(HAPPENING.dump_json(event))
        return self._ask("POST", "/-/happenings", body, expected=(404,)).status_code != 404

    def struck(self) -> Counter[str]:
        """Requests that the present plan has struck, by what befell them."""
        shown = self._ask("GET", "/-/faults").json()
        struck: Counter[str] = Counter()
        for rule, tally in zip(shown["rules"], shown["tallies"], strict=True):
            struck[_called(rule["fault"])] += tally["struck"]
        return +struck

    def watch(self, resource: str, stop: threading.Event) -> Iterator[dict[str, Any]]:
        """Every change of a resource from now on, through cuts; after an expired version from then on."""
        version = ""
        while not stop.is_set():
            version = version or str(self._ask("GET", self._path(resource)).json()["metadata"]["resourceVersion"])
            parameters = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "5"}
            try:
                url = self._server + self._path(resource)
                with self._http.get(url, params=parameters, stream=True, timeout=30) as answer:
                    for line in answer.iter_lines():
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            version = ""
                            break
                        version = event["object"]["metadata"]["resourceVersion"]
                        yield event
            except _BROKEN:
                self._pause.wait(_PAUSE_SECONDS)

    def _path(self, resource: str) -> str:
        return _RESOURCES[resource].format(namespace=self.namespace)

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        expected: tuple[int, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(method, self._server + path, json=body, timeout=30, headers=headers)
                break
            except _BROKEN:
                if attempt == _TRIES:
                    raise
                self._pause.wait(_PAUSE_SECONDS)
        if answer.status_code not in expected:
            answer.raise_for_status()
        return answer


def _called(fault: dict[str, Any]) -> str:
    match fault["kind"]:
        case "refuse":
            return f"{fault['code']}{' after the effect' if fault['late'] else ''}"
        case "watch":
            return f"watch {fault['how']}"
        case "halve":
            return "answer cut"
        case _:
            return "answer delayed"
