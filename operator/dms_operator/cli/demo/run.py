"""The demo's course: lay out, start cluster and operator, apply, follow, report, clean up."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from rich.console import Console

from .. import devcluster, processes
from ..compare.command import show
from ..objects import parse_deployment
from . import files
from .display import Display
from .follow import Follower, StatusChanged
from .report import table

DEADLINE_SECONDS = 1500
OPERATOR_START_SECONDS = 60
PLAIN_WIDTH = 120
"""Columns where the output is no terminal."""


class Demo:
    """One run of the demo in a directory of its own."""

    def __init__(self, directory: Path, *, keep: bool) -> None:
        self.console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        self.repository = Path.cwd()
        self.layout = files.Layout(directory.resolve())
        self.keep = keep
        self.kubeconfig = devcluster.kubeconfig_of(self.layout.cluster)
        self.operator: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start_cluster(self) -> None:
        """Start the dev cluster and install the CRD."""
        devcluster.start(self.layout.cluster, files.cluster_config(self.layout), dies_with_parent=not self.keep)
        self.kubectl("apply", "-f", str(self.repository / "crds"))
        self.kubectl("wait", "--for=condition=Established", "crd/dmsmodeldeployments.dms.edge", "--timeout=30s")

    def start_operator(self) -> None:
        """Start the operator as its own process and wait until it says that it is healthy."""
        self.address = f"127.0.0.1:{_free_port()}"
        command = [sys.executable, "-m", "dms_operator.cli.main", "operator", "run", "--listen", self.address]
        command += ["--settings", str(self.layout.settings), "--kubeconfig", str(self.kubeconfig)]
        self.operator_log.unlink(missing_ok=True)
        self.operator = processes.start(command, self.operator_log, dies_with_parent=not self.keep)
        state = {"pid": self.operator.pid, "started": processes.start_time(self.operator.pid)}
        (self.layout.root / "operator.json").write_text(json.dumps(state))
        deadline = time.monotonic() + OPERATOR_START_SECONDS
        while not self._healthy():
            self.check_operator()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the operator did not get healthy, see {self.operator_log}")
            time.sleep(0.2)

    @property
    def operator_log(self) -> Path:
        """The operator's log."""
        return self.layout.root / "operator.log"

    def check_operator(self) -> None:
        """Raise RuntimeError when the operator has ended."""
        if self.operator is not None and self.operator.poll() is not None:
            tail = "\n".join(self.operator_log.read_text().splitlines()[-15:])
            raise RuntimeError(f"the operator ended with exit code {self.operator.returncode}:\n{tail}")

    def _healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/readyz"))
        return False

    def get(self, path: str) -> str:
        """Ask the operator's HTTP endpoint."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as response:  # nosec B310
            text: str = response.read().decode()
            return text

    @property
    def kubectl_command(self) -> list[str]:
        """The kubectl of this environment, told which cluster to talk to."""
        return [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(self.kubeconfig)]

    def kubectl(self, *arguments: str, show: bool = False) -> str:
        """Run the real kubectl against the dev cluster; with `show`, as a user would see it."""
        output = subprocess.run([*self.kubectl_command, *arguments], check=False, capture_output=True, text=True)
        if output.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)} failed: {output.stderr.strip()}")
        if show:
            self.console.print(f"\n[bold]$ kubectl {' '.join(arguments)}[/]", highlight=False)
            print(output.stdout.rstrip(), flush=True)
        return output.stdout

    def follow(self, example: Path) -> dict[str, Any]:
        """Apply the example and follow it to its end; returns the object."""
        manifest = yaml.safe_load(example.read_text())
        name = manifest["metadata"]["name"]
        self.kubectl("apply", "-f", str(example), show=True)
        follower = Follower(self.kubectl_command, name)
        body: dict[str, Any] = {}
        with Display(self.console) as display:
            for event in follower.events(DEADLINE_SECONDS, self.check_operator):
                display.show(event)
                body = event.body if isinstance(event, StatusChanged) else body
        return body

    def report(self, body: dict[str, Any]) -> None:
        """Show what came out, and how to look around."""
        self.console.print()
        self.console.print(table(body["status"]))
        self.kubectl("get", "dmsd", "-o", "wide", show=True)
        self.compare(body)
        self.console.print(f"\n[bold]$ curl {self.address}/metrics | grep dms_model[/]", highlight=False)
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith("dms_model_")]
        print("\n".join(lines[:12]), flush=True)

    def compare(self, body: dict[str, Any]) -> None:
        """What `kubectl dms compare` shows of it."""
        self.console.print(f"\n[bold]$ kubectl dms compare {body['metadata']['name']}[/]", highlight=False)
        show([parse_deployment(body)], self.console)

    def stop(self) -> None:
        """Stop operator and cluster; safe to call at any time."""
        down(self.layout.root)


def run_demo(directory: Path, example: Path, *, keep: bool) -> int:
    """Run the demo; returns 0 when the deployment got Ready. Nothing is left running unless `keep`."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    demo = Demo(directory, keep=keep)
    ready = False
    try:
        ready = _course(demo, example)
        return 0 if ready else 1
    except KeyboardInterrupt:
        demo.console.print("\ninterrupted")
        return 130
    except (RuntimeError, TimeoutError, subprocess.CalledProcessError) as error:
        demo.console.print(f"\n[red]{error}[/]", highlight=False)
        return 1
    finally:
        if keep and ready:
            _say_how_to_look_around(demo)
        else:
            with _uninterrupted():
                demo.stop()


def _course(demo: Demo, example: Path) -> bool:
    down(demo.layout.root)
    say = demo.console.print
    with demo.console.status("rendering driver clips (first run only), laying out files"):
        files.lay_out(demo.layout, demo.repository)
    with demo.console.status("starting the dev cluster"):
        demo.start_cluster()
    say("dev cluster: " + ", ".join(demo.kubectl("get", "nodes", "-o", "name").split()), highlight=False)
    with demo.console.status("starting the operator"):
        demo.start_operator()
    say(f"operator: http://{demo.address} (/metrics, /healthz)", highlight=False)
    body = demo.follow(example)
    demo.report(body)
    ready = body["status"]["phase"] == "Ready"
    if not ready:
        say(f"\n[red]{body['status'].get('summary', {}).get('message', 'not Ready')}[/]", highlight=False)
    return bool(ready)


def down(directory: Path) -> None:
    """Stop what a run in this directory left running."""
    state = directory / "operator.json"
    if state.exists():
        content = json.loads(state.read_text())
        if processes.is_running(content["pid"], content["started"]):
            processes.stop(content["pid"])
        state.unlink()
    devcluster.stop_if_running(directory / "cluster")


def _say_how_to_look_around(demo: Demo) -> None:
    demo.console.print(
        f"\nLook around:\n  export KUBECONFIG={demo.kubeconfig} PATH={Path(sys.executable).parent}:$PATH\n"
        "  kubectl describe dmsd driver-monitor\n  kubectl get jobs,pods,events\n"
        "  kubectl apply -f examples/three-boards.yaml\n"
        "  kubectl apply -f examples/platforms.yaml   # then: kubectl dms compare platforms\n"
        f"  kubectl dms report driver-monitor --store file://{demo.layout.volume('artifacts')} --to report.html\n"
        "Stop everything:\n  make demo-down",
        highlight=False,
        soft_wrap=True,
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let cleaning up finish: a second Ctrl-C is ignored meanwhile."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
