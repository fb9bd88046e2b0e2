"""A dev cluster whose images are the real ones, and the operator's own image as a pod of it would run."""

import base64
import subprocess
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from e2e.running import Cluster, end, free_port, wait_for
from images import containers

WRAPPER = Path(__file__).with_name("stage_in_container.sh")
VOLUMES = ("models", "data", "artifacts")
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CONVERTERS = {"qnn": "converter-qnn", "snpe-sdk": "converter-snpe", "tidl": "converter-tidl"}


def wrapped_images(directory: Path) -> dict[str, Any]:
    """For the dev cluster: each stage image as a folder whose `dms` runs the real image."""
    found = {}
    for name in ("quantizer", *CONVERTERS.values(), "benchmark-runner"):
        folder = directory / name
        folder.mkdir(parents=True)
        (folder / "dms").symlink_to(WRAPPER)
        env = {"IMAGE": containers.reference(name), "CONTAINERS_CONF": containers.environment()["CONTAINERS_CONF"]}
        found[containers.reference(name)] = {"path": [str(folder)], "env": env}
    return found


def settings() -> dict[str, Any]:
    """The operator's settings, as docs/images.md lists which image runs which stage."""
    runner, quantizer = containers.reference("benchmark-runner"), containers.reference("quantizer")
    converters = {toolchain: containers.reference(image) for toolchain, image in CONVERTERS.items()}
    return {
        "images": {
            "resolve": quantizer,
            "quantize": quantizer,
            "convert": {**converters, "onnxruntime": runner},
            "benchmark": dict.fromkeys([*converters, "onnxruntime"], runner),
        },
        "imagePullPolicy": "Never",
        "volumes": [
            {
                "name": name,
                "mountPath": f"/{name}",
                "readOnly": name != "artifacts",
                "source": {"persistentVolumeClaim": {"claimName": claim(name)}},
            }
            for name in VOLUMES
        ],
        "backoffLimit": 0,
    }


def claim(name: str) -> str:
    """Name of the claim behind a volume. The restricted Pod Security standard allows no hostPath in pods."""
    return f"dms-images-{name}"


def volumes(directory: Path) -> list[dict[str, Any]]:
    """A persistent volume in a folder of this machine for each of the volumes, and its claim."""
    amount = {"storage": "1Gi"}
    found: list[dict[str, Any]] = []
    for name in VOLUMES:
        host = {"path": str(containers.open_folder(directory / name)), "type": "Directory"}
        shared = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        volume = {**shared, "capacity": amount, "hostPath": host}
        wanted = {**shared, "resources": {"requests": amount}, "volumeName": claim(name)}
        metadata = {"name": claim(name)}
        found.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume})
        found.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": wanted})
    return found


class OperatorContainer:
    """The operator's image with the credentials of a service account, on this machine's network."""

    def __init__(self, cluster: Cluster, settings: dict[str, Any], directory: Path, namespace: str) -> None:
        self.log = directory / "operator.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._cidfile = directory / "operator.cid"
        configuration = directory / "configuration"
        configuration.mkdir()
        (configuration / "settings.yaml").write_text(yaml.safe_dump(settings))
        self._account, self._kubeconfig = directory / "serviceaccount", cluster.kubeconfig
        address = service_account(cluster.kubeconfig, self._account)
        run = containers.command(
            "operator",
            *("operator", "run", "--settings=/etc/dms/settings.yaml", "--log-format=json"),
            *(f"--namespace={namespace}", f"--listen={self.url.removeprefix('http://')}"),
            scratch=containers.open_folder(directory / "operator-tmp"),
            volumes={containers.readable(configuration): "/etc/dms:ro", self._account: f"{ACCOUNT}:ro"},
            env={"KUBERNETES_SERVICE_HOST": address[0], "KUBERNETES_SERVICE_PORT": str(address[1])},
            network="host",
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["podman", *run[:1], f"--cidfile={self._cidfile}", *run[1:]],
                stdout=log,
                stderr=log,
                env=containers.environment(),
            )

    def wait_ready(self) -> None:
        """Wait until its caches are filled. Raises AssertionError with its log when it ended."""
        wait_for(self._ready, 60, f"the operator is ready, see {self.log}")

    def memory(self) -> str:
        """What podman says that the container uses."""
        return containers.podman("stats", "--no-stream", "--format={{.MemUsage}}", self._cidfile.read_text()).stdout

    def rotate_token(self) -> None:
        """Mount the token that the kubeconfig has now, as the kubelet does before the old one expires."""
        service_account(self._kubeconfig, self._account)

    def stop(self) -> int:
        """SIGTERM, as the kubelet does; gives the exit code."""
        return end(self._process)

    def _ready(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def service_account(kubeconfig: Path, directory: Path) -> tuple[str, int]:
    """Write what the kubelet mounts for a service account; gives host and port of the API server."""
    configuration = yaml.safe_load(kubeconfig.read_text())
    cluster, user = configuration["clusters"][0]["cluster"], configuration["users"][0]["user"]
    directory.mkdir(exist_ok=True)
    (directory / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    (directory / "token").write_text(user["token"])
    (directory / "namespace").write_text("default")
    containers.readable(directory)
    server = urlsplit(cluster["server"])
    assert server.hostname and server.port
    return server.hostname, server.port
