"""The two requests of the probe: read its own node, patch that node's status. Its account may do no more."""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ...artifacts.paths import sandboxed

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
AGENT = "dms-board-probe"
"""How the API server's audit log names who asks."""
TIMEOUT_SECONDS = 20.0
_STRATEGIC_MERGE = "application/strategic-merge-patch+json"


class ApiUnavailable(Exception):
    """The API server did not do what it was asked."""


class NodeApi:
    """One node, by the pod's service account."""

    def __init__(self, name: str) -> None:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise ApiUnavailable("the probe runs in a pod with a service account: KUBERNETES_SERVICE_HOST is not set")
        self._account = sandboxed(ACCOUNT)
        self._url = f"https://{f'[{host}]' if ':' in host else host}:{port}/api/v1/nodes/{name}"

    def read(self) -> dict[str, Any]:
        """The node. Raises ApiUnavailable."""
        return self._call("GET", self._url)

    def patch_status(self, patch: dict[str, Any]) -> None:
        """Patch the status subresource, by which annotations can be written as well. Raises ApiUnavailable."""
        self._call("PATCH", f"{self._url}/status", json.dumps(patch).encode())

    def _call(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {_text(self._account / 'token')}", "Accept": "application/json"}
        headers |= {"User-Agent": AGENT}
        headers |= {"Content-Type": _STRATEGIC_MERGE} if body else {}
        request = urllib.request.Request(url, body, headers, method=method)
        # read at every call: both are replaced while the pod lives
        trust = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        try:
            # bandit minds other schemes; ours is https:// always
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust) as response:  # nosec B310
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise ApiUnavailable(f"{method} {url}: {error.code} {error.read(500).decode(errors='replace')}") from error
        except (OSError, ValueError) as error:
            raise ApiUnavailable(f"{method} {url}: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ApiUnavailable(f"the pod's service account cannot be read: {error}") from error
