"""The docs' pictures anew: `PYTHONPATH=helm:tests python -m observability.pictures .demo docs/images`.

Real stages on the demo's cluster, in the first folder: the demo's deployment, one for three boards, and one that is
rolled out until its last wave waits for approval. Takes some ten minutes, and matplotlib.
"""

import sys
import time
from pathlib import Path
from typing import Any

from dashboards import pictures
from dms_operator.cli.demo import files
from dms_operator.cli.demo.demo import Demo
from dms_operator.cli.demo.follow import waits_for_approval
from dms_operator.cli.demo.rollout import is_noise
from dms_operator.cli.demo.run import ROLLOUT_EXAMPLE, down
from e2e.running import end, wait_for
from observability.conftest import Prometheus

EXAMPLES = ("driver-monitor.yaml", "three-boards.yaml")
LAST_SCRAPES = 5
"""Seconds."""


def _rolled_out(demo: Demo) -> str:
    """Roll out as far as the approval; a benchmark that was too noisy to tell is run again. Gives the name."""
    name = demo.apply(demo.repository / ROLLOUT_EXAMPLE)
    while is_noise(body := demo.follow(name, waits_for_approval)):
        demo.kubectl("annotate", "--overwrite", "dmsd", name, f"dms.edge/retry={time.time():.0f}")
    _check(body, body["status"].get("phase") == "RollingOut")
    return name


def _check(body: dict[str, Any], good: bool) -> None:
    if not good:
        raise RuntimeError(f"{body['metadata']['name']} is {body['status'].get('phase')}: {body['status']['summary']}")


def _course(demo: Demo, prometheus: Prometheus, target: Path) -> None:
    wait_for(prometheus.scrapes, 30, "Prometheus scrapes the operator")
    for example in EXAMPLES:
        body = demo.follow(demo.apply(demo.repository / "examples" / example))
        _check(body, body["status"].get("phase") == "Ready")
    name = _rolled_out(demo)
    time.sleep(LAST_SCRAPES)
    pictures.draw_all(prometheus.url, target, name)


def draw(work: Path, target: Path) -> None:
    """Run everything, and draw what Prometheus saw of it."""
    demo = Demo(work, keep=False)
    down(demo.layout.root)
    files.lay_out(demo.layout, demo.repository)
    try:
        demo.start_cluster()
        demo.start_operator()
        prometheus = Prometheus(demo.layout.root, demo.address)
        try:
            _course(demo, prometheus, target)
        finally:
            end(prometheus.process)
    finally:
        down(demo.layout.root)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
