"""`dms devcluster`: a Kubernetes API and a process-kubelet on this machine, for trying things out and for tests."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from . import processes

app = typer.Typer(no_args_is_help=True, help="Run a cluster on this machine.")
Directory = Annotated[Path, typer.Option("--directory", help="Where the cluster keeps its files.")]
DEFAULT_DIRECTORY = Path(".dms/devcluster")
START_DEADLINE_SECONDS = 60


@app.command()
def up(
    directory: Directory = DEFAULT_DIRECTORY,
    config: Annotated[
        Path | None, typer.Option(help="Nodes and images (YAML; docs/devcluster.md); default: one node.")
    ] = None,
) -> None:
    """Start the cluster in the background and print how to use it."""
    if _running(directory):
        print(f"already running: export KUBECONFIG={kubeconfig_of(directory)}")
        return
    start(directory, config, dies_with_parent=False)
    print(f"export KUBECONFIG={kubeconfig_of(directory)}")


@app.command()
def down(directory: Directory = DEFAULT_DIRECTORY) -> None:
    """Stop the cluster and everything that runs in it."""
    print("stopped" if stop_if_running(directory) else "not running")


@app.command()
def status(directory: Directory = DEFAULT_DIRECTORY) -> None:
    """Say whether the cluster runs."""
    running = _running(directory)
    print(f"running: export KUBECONFIG={kubeconfig_of(directory)}" if running else "not running")
    raise typer.Exit(0 if running else 1)


def stop_if_running(directory: Path) -> bool:
    """Stop the cluster that was started in a directory; returns whether there was one."""
    running = _running(directory)
    if running:
        processes.stop(_state(directory)["pid"])
    _state_file(directory).unlink(missing_ok=True)
    return running


def kubeconfig_of(directory: Path) -> Path:
    """Where the cluster in a directory writes its kubeconfig."""
    return (directory / "kubeconfig").resolve()


def start(directory: Path, config: Path | None, *, dies_with_parent: bool) -> int:
    """Start a cluster process and wait until it answers; returns its pid.

    Raises typer.Exit with the end of its log on stderr when it does not come up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ready = directory / "ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "dms_operator.devcluster", "--kubeconfig", str(kubeconfig_of(directory))]
    command += ["--data-dir", str((directory / "data").resolve()), "--ready-file", str(ready.resolve())]
    command += ["--config", str(config.resolve())] if config else []
    log = directory / "devcluster.log"
    before = log.stat().st_size if log.exists() else 0
    process = processes.start(command, log, dies_with_parent=dies_with_parent)
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            print(f"the dev cluster did not start; the end of {log}:", file=sys.stderr)
            print(*log.read_bytes()[before:].decode(errors="replace").splitlines()[-20:], sep="\n", file=sys.stderr)
            processes.stop(process.pid)
            raise typer.Exit(1)
        time.sleep(0.05)
    state = {"pid": process.pid, "started": processes.start_time(process.pid)}
    _state_file(directory).write_text(json.dumps(state))
    return process.pid


def _state_file(directory: Path) -> Path:
    return directory / "state.json"


def _state(directory: Path) -> dict[str, Any]:
    file = _state_file(directory)
    state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return state


def _running(directory: Path) -> bool:
    state = _state(directory)
    return bool(state) and processes.is_running(state["pid"], state["started"])
