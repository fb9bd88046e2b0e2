"""Real processes for end-to-end tests: a cluster, kubectl, the operator. Nothing here knows which cluster it is."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from prometheus_client.parser import text_string_to_metric_families

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_IMAGE = "dms-operator:dev"
"""In the dev cluster: this Python environment with its real stages (the name that `dms demo` uses, too)."""
FAKE_IMAGE = "fake-stage:dev"
"""In the dev cluster: tests/e2e/fake_stage.py."""
AUDIT_LOG = "audit.log"
"""In the control directory: who asked the dev cluster for what."""
CHART_REGISTRY = "registry.example.com/dms"
"""In the dev cluster: the real operator beside stages that are all fake, named as docs and examples name images."""
VEHICLE = "dms.edge/vehicle"
Found = TypeVar("Found")


def wait_for(predicate: Callable[[], Found | Literal[False] | None], deadline: float = 60.0, what: str = "") -> Found:
    """Ask until the answer is truthy, and give it; raises AssertionError when the deadline (seconds) has passed."""
    end = time.monotonic() + deadline
    while True:
        if found := predicate():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:.0f} s: {what or predicate}; last answer: {found!r}")
        time.sleep(0.1)


class Kubectl:
    """The real kubectl, bound to a cluster and (if given) a namespace."""

    def __init__(self, kubeconfig: Path, scratch: Path, namespace: str = "") -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self._scratch = scratch

    def within(self, namespace: str) -> "Kubectl":
        """The same kubectl with another namespace as default."""
        return Kubectl(self.kubeconfig, self._scratch, namespace)

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes out."""
        command = [str(Path(sys.executable).with_name("kubectl")), f"--cache-dir={self._scratch / 'kubectl'}"]
        command += [f"--namespace={self.namespace}"] if self.namespace else []
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            [*command, *arguments], input=stdin, env=environment, capture_output=True, text=True, timeout=120
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it and give what it prints; raises AssertionError with its words when it fails."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout

    def dms(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run our plugin, `kubectl dms`, whatever comes out. kubectl takes no options of its own before a plugin."""
        tools = Path(sys.executable).parent
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": f"{tools}:{os.environ['PATH']}"}
        command = [str(tools / "kubectl"), "dms", *arguments, f"--namespace={self.namespace}"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    def json(self, *arguments: str) -> Any:
        """Run it with `-o json`."""
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, *bodies: Mapping[str, Any]) -> str:
        """Apply objects."""
        return self("apply", "-f", "-", stdin="\n---\n".join(json.dumps(body) for body in bodies))


class Cluster:
    """A cluster to test against: its kubeconfig, and whether it is our own dev cluster."""

    def __init__(self, kubeconfig: Path, control: Path | None) -> None:
        self.kubeconfig = kubeconfig
        self.control = control
        """Directory that steers fake stages; None in a cluster that is not ours."""


def dev_cluster_config(
    control: Path, images: Mapping[str, Any], boards: Mapping[str, str], vehicles: Mapping[str, str]
) -> dict[str, Any]:
    """One build node, one board of each kind, the real image, the fake one, and others."""
    board = "dms.edge/board"
    real = {"path": [str(Path(sys.executable).parent)]}
    fake = {"path": [str(control)], "env": {"FAKE_STAGE_CONTROL": str(control)}}
    return {
        "nodes": [
            {"name": "build-1", "labels": {"dms.edge/build": "true"}},
            {"name": "bench-qcs8255", "labels": {board: "qcs8255"}},
            {"name": "bench-sa8775", "labels": {board: "sa8775"}},
            {"name": "bench-tda4vm", "labels": {board: "tda4vm"}},
            *({"name": name, "labels": {board: kind}} for name, kind in boards.items()),
            *(
                {"name": name, "labels": {VEHICLE: kind}, "taints": [{"key": VEHICLE}]}
                for name, kind in vehicles.items()
            ),
        ],
        "images": {
            REAL_IMAGE: real,
            FAKE_IMAGE: fake,
            f"{CHART_REGISTRY}/*": fake,
            f"{CHART_REGISTRY}/operator:*": real,
            **images,
        },
        "job_backoff": {"initial": 0.2, "limit": 1.0},
        "audit_log": str(control / AUDIT_LOG),
    }


def start_dev_cluster(
    directory: Path,
    images: Mapping[str, Any] = {},
    boards: Mapping[str, str] = {},
    vehicles: Mapping[str, str] = {},
) -> tuple[subprocess.Popen[bytes], Cluster]:
    """A dev cluster as a process of its own, with more images (as in its configuration), boards and vehicles.

    Of boards and vehicles the type is given by node; vehicles are tainted, so that nothing else runs there.
    """
    control, ready = directory / "control", directory / "ready"
    control.mkdir(parents=True)
    # "dms stage run" of the fake image: a shell wrapper is not needed, the first line names the interpreter.
    script = (Path(__file__).parent / "fake_stage.py").read_text()
    (control / "dms").write_text(f"#!{sys.executable} -IS\n{script}")
    (control / "dms").chmod(0o755)
    (directory / "cluster.yaml").write_text(yaml.safe_dump(dev_cluster_config(control, images, boards, vehicles)))
    command = [sys.executable, "-m", "dms_operator.devcluster", f"--config={directory / 'cluster.yaml'}"]
    command += [f"--kubeconfig={directory / 'kubeconfig'}", f"--data-dir={directory / 'data'}", f"--ready-file={ready}"]
    with (directory / "cluster.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())

    def is_ready() -> bool:
        assert process.poll() is None, (directory / "cluster.log").read_text()
        return ready.exists()

    wait_for(is_ready, 60, "the dev cluster is ready")
    return process, Cluster(directory / "kubeconfig", control)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """End a process that we started; gives its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)
        raise


class OperatorProcess:
    """The operator as its own process; may be stopped, killed and started again."""

    def __init__(self, kubeconfig: Path, settings: Mapping[str, Any], directory: Path, namespaces: list[str]) -> None:
        self._directory = directory
        self._kubeconfig = kubeconfig
        self._namespaces = namespaces
        self._settings = directory / "settings.yaml"
        self._settings.write_text(yaml.safe_dump(dict(settings)))
        self.log = directory / "operator.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, *more: str) -> None:
        """Start it, with more arguments if given; does not wait until it is ready."""
        command = [sys.executable, "-m", "dms_operator.controller.main", f"--settings={self._settings}"]
        command += [f"--kubeconfig={self._kubeconfig}", f"--listen={self.url.removeprefix('http://')}"]
        command += [*(f"--namespace={namespace}" for namespace in self._namespaces), *more]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())

    def wait_ready(self, patience: float = 60) -> None:
        """Wait until its caches are filled, for at most so many seconds."""
        wait_for(lambda: self.get("/readyz")[0] == 200, patience, f"the operator is ready, see {self.log}")

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        assert self._process is not None
        return end(self._process)

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        assert self._process is not None
        end(self._process, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether it is gone, for whatever reason."""
        assert self._process is not None
        return self._process.poll() is not None

    def get(self, path: str) -> tuple[int, str]:
        """Ask its HTTP server; status 0 when it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric's samples that carry these labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = (sample for family in families for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def writes(self) -> float:
        """Requests so far that were meant to change something."""
        return sum(self.metric("dms_api_requests_total", verb=verb) for verb in ("POST", "PUT", "PATCH", "DELETE"))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "operator"), "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
