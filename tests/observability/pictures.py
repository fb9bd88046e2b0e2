"""The docs' pictures anew: `PYTHONPATH=helm:tests python -m observability.pictures docs/images` (some ten minutes).

Real stages on a dev cluster of its own: the demo's deployment, one for three boards, and one that is rolled out over
six vehicles of this machine's kind until its last wave waits for approval. Needs matplotlib.
"""

import platform
import sys
import tempfile
import time
from pathlib import Path

import yaml

from dashboards import pictures
from dms_operator.cli.demo import files
from dms_operator.cli.demo.run import Demo
from e2e.running import REPOSITORY, VEHICLE, end, wait_for
from observability.conftest import Prometheus

EXAMPLES = REPOSITORY / "examples"
BOARD = "generic-x86" if platform.machine() == "x86_64" else "generic-arm64"
CARS = [f"car-{number}" for number in range(1, 7)]
ROLLED_OUT = "driver-monitor-fleet"
WAVES = [
    {"name": "lab", "size": "1"},
    {"name": "canary", "size": "50%", "soak": "20s"},
    {"name": "fleet", "size": "100%", "approval": "Manual"},
]
LAST_SCRAPES = 5
"""Seconds."""


def _lay_out(layout: files.Layout) -> None:
    """The demo's cluster, with vehicles."""
    files.lay_out(layout, REPOSITORY)
    layout.volume("fleet").mkdir()
    cluster = yaml.safe_load(files.cluster_config(layout).read_text())
    cluster["nodes"][0]["labels"]["dms.edge/board"] = BOARD
    cluster["nodes"] += [{"name": car, "labels": {VEHICLE: BOARD}, "taints": [{"key": VEHICLE}]} for car in CARS]
    files.cluster_config(layout).write_text(yaml.safe_dump(cluster))
    settings = yaml.safe_load(layout.settings.read_text())
    settings["fleet"] = {"volume": {"hostPath": {"path": str(layout.volume("fleet")), "type": "Directory"}}}
    layout.settings.write_text(yaml.safe_dump(settings))


def _rolled_out(directory: Path) -> Path:
    """The demo's deployment, for the vehicles."""
    body = yaml.safe_load((EXAMPLES / "driver-monitor.yaml").read_text())
    body["metadata"]["name"] = ROLLED_OUT
    body["spec"]["targets"] = [{"name": "car", "board": BOARD}]
    body["spec"]["benchmark"] = {"latencyBudget": "200ms", "minProvenance": "measured"}
    body["spec"]["rollout"] = {"waves": WAVES, "maxUnavailable": "2"}
    path = directory / "fleet.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def _is_waiting(demo: Demo, prometheus: Prometheus) -> bool:
    """Whether the rollout came to its approval; a benchmark that was too noisy to tell is run once more."""
    if prometheus.query(f'dms_deployment_phase{{deployment="{ROLLED_OUT}", phase="Failed"}} == 1'):
        demo.kubectl("annotate", "--overwrite", "dmsd", ROLLED_OUT, f"dms.edge/retry={time.time():.0f}")
        time.sleep(LAST_SCRAPES)
    return bool(prometheus.query('dms_rollout_paused{reason="ApprovalRequired"} == 1'))


def _course(demo: Demo, prometheus: Prometheus) -> None:
    wait_for(prometheus.scrapes, 30, "Prometheus scrapes the operator")
    for example in ("driver-monitor.yaml", "three-boards.yaml"):
        assert demo.follow(EXAMPLES / example)["status"]["phase"] == "Ready"
    demo.kubectl("apply", "-f", str(_rolled_out(demo.layout.root)))
    wait_for(lambda: _is_waiting(demo, prometheus), 900, "the last wave waits for approval")
    time.sleep(LAST_SCRAPES)


def draw(target: Path) -> None:
    """Run everything, and draw what Prometheus saw of it."""
    with tempfile.TemporaryDirectory() as directory:
        demo = Demo(Path(directory), keep=False)
        _lay_out(demo.layout)
        try:
            demo.start_cluster()
            demo.start_operator()
            prometheus = Prometheus(demo.layout.root, demo.address)
            try:
                _course(demo, prometheus)
                pictures.draw_all(prometheus.url, target, ROLLED_OUT)
            finally:
                end(prometheus.process)
        finally:
            demo.stop()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
