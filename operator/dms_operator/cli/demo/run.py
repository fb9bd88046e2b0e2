"""The demo's course: lay out, start cluster and operator, apply, follow, report, clean up."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from .. import devcluster, processes
from . import files
from .demo import Demo
from .follow import summary_of
from .rollout import roll_out

ROLLOUT_EXAMPLE = Path("examples/try-rollout.yaml")


def run_demo(directory: Path, example: Path, *, keep: bool) -> int:
    """Run the demo; returns 0 when all of it was shown. Nothing is left running unless `keep`."""
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
                down(demo.layout.root)


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
    body = demo.follow(demo.apply(example))
    demo.report(body)
    if body["status"]["phase"] != "Ready":
        say(f"\n[red]{summary_of(body)}[/]", highlight=False)
        return False
    return roll_out(demo, ROLLOUT_EXAMPLE)


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
        f"  cp MODEL {demo.layout.volume('models')}; cp DATA {demo.layout.volume('data')}   # docs/your-model.md\n"
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
