"""What the demo runs: a cluster, an operator and kubectl, each as a process of its own."""

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from .. import devcluster, processes
from ..compare.command import show
from ..objects import parse_deployment
from . import files
from .display import Display
from .follow import Follower, StatusChanged, is_final
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
            self.prompt(f"kubectl {' '.join(arguments)}")
            print(output.stdout.rstrip(), flush=True)
        return output.stdout

    def prompt(self, command: str) -> None:
        """Show a command as a user would type it."""
        self.console.print(f"\n[bold]$ {command}[/]", highlight=False, soft_wrap=True)

    def apply(self, example: Path) -> str:
        """Apply an example; returns its name."""
        self.kubectl("apply", "-f", str(example), show=True)
        return str(yaml.safe_load(example.read_text())["metadata"]["name"])

    def follow(self, name: str, ended: Callable[[dict[str, Any]], bool] = is_final) -> dict[str, Any]:
        """Follow a deployment until it has ended; returns the object."""
        follower = Follower(self.kubectl_command, name)
        body: dict[str, Any] = {}
        with Display(self.console) as display:
            for event in follower.events(DEADLINE_SECONDS, self.check_operator, ended):
                display.show(event)
                body = event.body if isinstance(event, StatusChanged) else body
        return body

    def report(self, body: dict[str, Any]) -> None:
        """Show what came out, and how to look around."""
        self.console.print()
        self.console.print(table(body["status"]))
        self.kubectl("get", "dmsd", "-o", "wide", show=True)
        self.compare(body)
        self.prompt(f"curl {self.address}/metrics | grep dms_model")
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith("dms_model_")]
        print("\n".join(lines[:12]), flush=True)

    def compare(self, body: dict[str, Any]) -> None:
        """What `kubectl dms compare` shows of it."""
        self.prompt(f"kubectl dms compare {body['metadata']['name']}")
        show([parse_deployment(body)], self.console)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
