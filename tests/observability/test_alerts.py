"""Runbooks: every alert has its section, and what a section says to paste works, and shows what it is said to show."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.fleet import BOARD
from e2e.running import REPOSITORY, wait_for
from observability.conftest import RULES, Scene, deployment_of

PAGE = REPOSITORY / "docs" / "alerts.md"


def sections() -> dict[str, list[str]]:
    """The commands of each section, by its heading."""
    found: dict[str, list[str]] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        found[heading] = re.findall(r"^ {4,6}(\S.*)$", text, re.MULTILINE)
    return found


def alerts() -> Iterator[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return (rule for group in groups for rule in group["rules"] if "alert" in rule)


def test_every_alert_names_the_section_that_says_what_to_do() -> None:
    named = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts()}
    assert named == {name: f"docs/alerts.md#{name.lower()}" for name in sections() if name.startswith("DMS")}


def test_links_of_the_page_lead_to_what_there_is() -> None:
    for page, anchor in re.findall(r"\]\(([\w-]+\.md)?(?:#([\w-]+))?\)", PAGE.read_text()):
        text = (PAGE.parent / (page or PAGE.name)).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


class Reader:
    """Somebody who pastes what the page says."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def paste(self, section: str, name: str = "none", node: str = "none") -> str:
        """All commands of a section; gives what they print. Each of them must succeed."""
        tools = Path(sys.executable).parent
        names = {"NS": self._scene.kubectl.namespace, "NAME": name, "NODE": node, "BOARD": BOARD, "OPS": "dms-system"}
        environment = {
            **os.environ,
            **names,
            "KUBECONFIG": str(self._scene.kubectl.kubeconfig),
            "PATH": f"{tools}:{os.environ['PATH']}",
        }
        shown = ""
        for command in sections()[section]:
            done = subprocess.run(["bash", "-uc", command], env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            shown += done.stdout
        return shown

    def state(self, name: str) -> str:
        """How a rollout stands."""
        rollout = self._scene.kubectl.json("get", "dmsd", name)["status"].get("rollout", {})
        paused = [each["reason"] for each in rollout.get("pauses", [])]
        return paused[0] if paused else str(rollout.get("state"))


@pytest.fixture(scope="module")
def reader(scene: Scene) -> Reader:
    return Reader(scene)


@pytest.mark.parametrize(
    ("section", "name", "shown"),
    [
        ("DMSBudgetMissed", "slow", "Fail\tlatency\t"),
        ("DMSDeploymentFailed", "slow", "LatencyBudgetExceeded: "),
        ("DMSAccuracyRegressed", "ready", "fp32\ttop1\t"),
        ("DMSStageStuck", "converting", "deleted"),
        ("DMSWavePaused", "rolling", "ApprovalRequired\t20"),
        ("DMSBoardDown", "none", "bench-qcs8255"),
        ("DMSOperatorStalled", "none", ""),
        ("DMSOperatorAbsent", "none", ""),
        ("DMSReconcileErrors", "none", ""),
    ],
)
def test_what_a_section_shows(reader: Reader, section: str, name: str, shown: str) -> None:
    node = "bench-qcs8255"
    assert shown in reader.paste(section, name, node)


def test_a_board_out_of_service_is_shown_and_put_back(reader: Reader) -> None:
    reader.paste("DMSBoardDown", node="bench-qcs8255")
    assert re.search(r"bench-qcs8255 +True +<none> +true", reader.paste("DMSNoBoardLeft", node="bench-qcs8255"))
    assert re.search(r"bench-qcs8255 +True +<none> +<none>", reader.paste("DMSNoBoardLeft", node="bench-qcs8255"))


def test_a_stage_that_waits_says_for_what(reader: Reader, scene: Scene) -> None:
    target = {"name": "cockpit", "board": "sa8295"}
    scene.kubectl.apply(deployment_of(scene.kubectl.namespace, "boardless", targets=[target]))
    told = "benchmark cockpit int8-qnn\tNoSuchBoard\tno node is labelled dms.edge/board=sa8295"
    wait_for(lambda: told in reader.paste("DMSStageWaiting", "boardless"), 60, "it waits for a board")
    scene.kubectl("delete", "dmsd", "boardless")


def test_what_failed_is_tried_again(reader: Reader, scene: Scene) -> None:
    before = scene.kubectl.json("get", "dmsd", "slow")["status"].get("handledRetry")
    reader.paste("Trying again", "slow")
    wait_for(lambda: scene.kubectl.json("get", "dmsd", "slow")["status"].get("handledRetry") != before, 30, "retried")


def test_a_revision_is_taken_back_and_rolled_out_again(reader: Reader) -> None:
    reader.paste("Taking a revision back", "rolling")
    wait_for(lambda: reader.state("rolling") == "RolledBack", 60, "it is taken back")
    assert "a person asked for it" in reader.paste("DMSRolledBack", "rolling")
    wait_for(lambda: reader.state("rolling") == "ApprovalRequired", 60, "it is rolled out again")


def test_a_wave_is_approved(reader: Reader) -> None:
    reader.paste("DMSRolledBack", "aborted")
    wait_for(lambda: reader.state("aborted") == "ApprovalRequired", 60, "its second wave waits")
    assert "wave fleet of revision " in reader.paste("DMSApprovalWaiting", "aborted")
    wait_for(lambda: reader.state("aborted") == "Completed", 60, "the whole fleet has it")
