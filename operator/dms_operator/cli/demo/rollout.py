"""The demo's last part: a rollout over three cars, seen and approved by `kubectl dms rollout`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .demo import Demo
from .files import CARS, FLEET
from .follow import summary_of, waits_for_approval

RETRIES = 2
"""Of a benchmark that was disturbed beyond its budget: it times this machine, which may have other work."""
BUSY = "no rollout is shown: this machine has other work and cannot time the cars' net; try again when it has less"


def roll_out(demo: Demo, example: Path) -> bool:
    """Build for x86, bring it to the cars wave by wave, and show what lies there; whether that worked."""
    name = demo.apply(example)
    body = _built(demo, name)
    if body["status"].get("phase") == "Failed":
        why = f"{summary_of(body)}; {BUSY}" if is_noise(body) else summary_of(body)
        demo.console.print(f"\n[red]{why}[/]", highlight=False)
        return False
    _rollout(demo, "status", name)
    _rollout(demo, "approve", name)
    done = _rollout(demo, "status", name, "--watch", "--vehicles")
    _show_disks(demo, name)
    return done


def _built(demo: Demo, name: str) -> dict[str, Any]:
    """Follow it until a wave waits for a person; a disturbed benchmark is run again."""
    body = demo.follow(name, waits_for_approval)
    for _ in range(RETRIES):
        if not is_noise(body):
            break
        demo.console.print(f"\n{summary_of(body)}", highlight=False)
        _rollout(demo, "retry", name)
        body = demo.follow(name, waits_for_approval)
    return body


def is_noise(body: dict[str, Any]) -> bool:
    """Whether a deployment failed because its benchmark was disturbed."""
    status = body.get("status", {})
    gates = [
        gate
        for target in status.get("targets", [])
        for candidate in target.get("candidates", [])
        for gate in candidate.get("gates", [])
    ]
    told = [gate for gate in gates if gate["outcome"] == "Inconclusive" and "noisy" in gate["message"]]
    return status.get("phase") == "Failed" and bool(told)


def _rollout(demo: Demo, verb: str, name: str, *options: str) -> bool:
    """Run the plugin as a user would; whether it succeeded."""
    command = ["dms", "rollout", verb, name, *options]
    tools = Path(sys.executable).parent
    environment = {**os.environ, "KUBECONFIG": str(demo.kubeconfig), "PATH": f"{tools}:{os.environ['PATH']}"}
    demo.prompt(f"kubectl {' '.join(command)}")
    # kubectl takes no options before a plugin's name, so the cluster is told by the environment
    return subprocess.run([demo.kubectl_command[0], *command], env=environment, check=False).returncode == 0


def _show_disks(demo: Demo, name: str) -> None:
    """What each car would load: where the link `current` on its disk leads."""
    for car in CARS:
        link = demo.layout.volume(FLEET) / car / "default" / name / "current"
        print(f"on the disk of {car}: {link} -> {link.readlink() if link.is_symlink() else 'nothing'}", flush=True)
