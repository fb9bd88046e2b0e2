"""A board that hangs off its node by ssh: real operator, real pods, real sshd; this machine is the board."""

import json
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from boards.sshd import SshServer, unpacked
from dms_operator.pipeline.probe.node import AGENT
from e2e import leaks
from e2e.audit import asked, granted_by
from e2e.conftest import install
from e2e.docs_commands import commands
from e2e.real_stages import RealStages, deployment
from e2e.running import (
    REAL_IMAGE,
    REPOSITORY,
    Cluster,
    Kubectl,
    OperatorProcess,
    end,
    start_dev_cluster,
    wait_for,
)
from model_fixtures import tiny_classifier, tiny_dataset

NODE = "rack-1"
BOARD = "generic-x86" if platform.machine() == "x86_64" else "generic-arm64"
DEADLINE = 200


class Lab:
    """A cluster with one node off which a board hangs."""

    def __init__(self, cluster: Cluster, sshd: SshServer, directory: Path) -> None:
        self.cluster, self.sshd, self.stages = cluster, sshd, RealStages(cluster, directory)
        self.kubectl = Kubectl(cluster.kubeconfig, directory).within("lab")
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})
        self.operator: OperatorProcess = self.stages.operator(cluster, self.kubectl)

    def attach(self) -> None:
        """Do what docs/boards.md tells a user to do, with this board's address and keys for those of the example."""
        keys = self.sshd.credentials
        port, known_hosts = str(self.sshd.port), keys / "scanned"
        words = {
            "dms.edge/board=qcs8255": f"dms.edge/board={BOARD}",
            "dms.edge/board-connection=ssh://root@10.0.0.7": f"dms.edge/board-connection={self.sshd.connection}",
            "--from-file=ssh-privatekey=board_key": f"--from-file=ssh-privatekey={keys / 'ssh-privatekey'}",
            "--from-file=known_hosts=board_known_hosts": f"--from-file=known_hosts={known_hosts}",
        }
        for program, *arguments in commands("boards.md", "ssh"):
            if program == "ssh-keyscan":
                scan = ["ssh-keyscan", "-p", port, *arguments[:2], "127.0.0.1"]
                known_hosts.write_text(subprocess.run(scan, capture_output=True, text=True, check=True).stdout)
            elif program == "kubectl":
                self.kubectl(*(words.get(word, word) for word in arguments))
            else:
                assert program in ("ssh-keygen", "ssh-copy-id"), "the server was made with these done"

    def deploy(self, name: str, **benchmark: Any) -> None:
        target = {"name": "rack", "board": BOARD}
        wanted = {"profile": "rapid", "minProvenance": "measured", "percentile": 90, **benchmark}
        body = deployment(name, targets=[target], benchmark=wanted)
        del body["spec"]["benchmark"]["simulationSamples"]
        self.kubectl.apply(body)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kubectl.json("get", "dmsd", name).get("status") or {}
        return found

    def wait_for_end(self, name: str) -> dict[str, Any]:
        return wait_for(
            lambda: (now := self.status(name)).get("phase") in ("Ready", "Failed") and now, DEADLINE, f"{name} ends"
        )

    def jobs_on_the_board(self) -> list[Any]:
        return [each for each in self.sshd.runners() if "job" in (each.info["cmdline"] or [])]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    assert pytestconfig.cache is not None
    directory = tmp_path_factory.mktemp("lab")
    process, cluster = start_dev_cluster(directory, boards={NODE: BOARD})
    sshd = SshServer(unpacked(pytestconfig.cache.mkdir("openssh")), directory / "board")
    try:
        sshd.start()
        install(cluster, directory)
        found = Lab(cluster, sshd, directory)
        tiny_classifier(found.stages.path("models", "tiny.onnx"))
        tiny_dataset(found.stages.path("data", "tiny.npz"))
        found.attach()
        found.operator.start()
        try:
            found.operator.wait_ready()
            yield found
        finally:
            found.operator.stop()
    finally:
        sshd.cut()
        sshd.stop()
        end(process)


@pytest.fixture(scope="module")
def over_ssh(lab: Lab) -> dict[str, Any]:
    """A deployment whose link is cut while the board is timed, come to its end."""
    lab.deploy("driver")
    wait_for(lab.jobs_on_the_board, DEADLINE, "the board is timed")
    time.sleep(1)
    cut = lab.sshd.cut()
    assert cut, (lab.status("driver"), lab.kubectl("logs", "-l", "dms.edge/stage=benchmark", "--tail=40"))
    return lab.wait_for_end("driver")


def is_over(status: dict[str, Any]) -> bool:
    """Ready, or held back by nothing but the noise of this machine."""
    return status.get("phase") == "Ready" or "the run was noisy" in status.get("summary", {}).get("message", "")


def test_a_deployment_is_measured_on_a_board_behind_ssh_though_its_link_was_cut(over_ssh: dict[str, Any]) -> None:
    (target,) = over_ssh["targets"]
    (candidate,) = target["candidates"]
    missed = [gate for gate in candidate["gates"] if gate["outcome"] != "Pass"]
    if all("but the run was noisy" in gate["message"] for gate in missed) and missed:
        assert over_ssh["phase"] == "Failed", "this machine is too busy to prove a latency, and the gate says so"
    else:
        assert over_ssh["phase"] == "Ready", over_ssh["summary"]
        assert target["latency"]["provenance"] == "measured" and target["node"] == NODE
    benchmark = candidate["benchmark"]
    assert benchmark["node"] == NODE
    assert [row["provenance"] for row in benchmark["latencies"]] == ["measured"]
    assert benchmark["memoryProvenance"] == benchmark["accuracyProvenance"] == "measured"
    assert benchmark["reference"]["source"].startswith("fp32 reference, onnxruntime")


def test_the_boards_key_shows_nowhere(lab: Lab, over_ssh: dict[str, Any]) -> None:
    key = (lab.sshd.credentials / "ssh-privatekey").read_text().splitlines()[1]
    texts = list(leaks.places(lab.kubectl, lab.operator, lab.stages.path("artifacts", "")))
    assert leaks.found(key, texts) == []
    secrets = lab.kubectl("get", "secrets", "-o", "json").encode()
    assert leaks.found(key, [("secrets", secrets)]) == ["secrets"], "this search does find it"


def test_the_cut_cost_no_pod(lab: Lab, over_ssh: dict[str, Any]) -> None:
    (stage,) = [each for each in over_ssh["stages"] if each["stage"] == "benchmark"]
    assert stage.get("attempts", 0) == 0
    log = lab.kubectl("logs", f"job/{stage['job']}")
    assert "the link to ssh://" in log and "trying again in 2 s" in log


def test_nothing_is_left_on_the_board_but_the_runner(lab: Lab, over_ssh: dict[str, Any]) -> None:
    wait_for(lambda: not lab.sshd.runners(), 30, "no runner lives")
    assert sorted(path.name.split("-")[0] for path in lab.sshd.workdir.iterdir()) == ["lock", "runner"]


def test_the_keys_stand_in_no_object_but_their_secret(lab: Lab, over_ssh: dict[str, Any]) -> None:
    private = (lab.sshd.credentials / "ssh-privatekey").read_text().splitlines()[2]
    seen = json.dumps(lab.kubectl.json("get", "dmsd,jobs,pods,nodes,events"))
    logs = lab.kubectl("logs", "-l", "dms.edge/stage=benchmark", "--tail=-1")
    assert private not in seen and private not in logs


class ProbePod:
    """The pod of examples/boards/probe.yaml, on the board's node, looking every second."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        bodies = yaml.safe_load_all((REPOSITORY / "examples/boards/probe.yaml").read_text())
        spec = next(body for body in bodies if body["kind"] == "DaemonSet")["spec"]["template"]["spec"]
        spec |= {"nodeName": NODE, "serviceAccountName": "default", "restartPolicy": "Never"}
        spec["containers"][0] |= {"image": REAL_IMAGE, "imagePullPolicy": "Never"}
        spec["containers"][0]["command"][-1] = "--interval=1"
        lab.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec})

    def node(self) -> dict[str, Any]:
        found: dict[str, Any] = self._lab.kubectl.json("get", "node", NODE)
        return found

    def condition(self) -> dict[str, Any]:
        conditions = self.node()["status"].get("conditions", [])
        return next((each for each in conditions if each["type"] == "DMSBoardHealthy"), {})

    def looks(self) -> int:
        return self._lab.sshd.log.read_text().count("Accepted publickey")

    def offers(self) -> bool:
        return f"dms.edge/{BOARD}" in self.node()["status"]["allocatable"]


@pytest.fixture
def probe(lab: Lab, over_ssh: dict[str, Any]) -> Iterator[ProbePod]:
    yield ProbePod(lab)
    lab.kubectl("delete", "pod", "probe", "--wait=true", "--timeout=60s")


def test_the_probe_tells_what_the_board_is_and_then_keeps_quiet(lab: Lab, probe: ProbePod) -> None:
    wait_for(lambda: probe.condition().get("status") == "True", 60, "the board is healthy")
    first = probe.node()["metadata"]["annotations"]
    facts = json.loads(first["dms.edge/board-facts"])
    assert facts["machine"] == platform.machine() and facts["runtimes"]["onnxruntime"]
    assert json.loads(first["dms.edge/board-health"])["freeDiskBytes"] > 0
    assert f"reached by {lab.sshd.connection.split('?')[0]}" in probe.condition()["message"]
    before, looks = probe.condition(), probe.looks()
    wait_for(lambda: probe.looks() >= looks + 6, 60, "it looks again and again")
    assert probe.condition() == before and probe.node()["metadata"]["annotations"] == first


def test_the_probe_asks_for_what_its_role_grants_and_uses_all_of_it(lab: Lab, probe: ProbePod) -> None:
    wait_for(lambda: probe.condition().get("status") == "True", 60, "the board is healthy")
    bodies = yaml.safe_load_all((REPOSITORY / "examples/boards/probe.yaml").read_text())
    [role] = [body for body in bodies if body["kind"] == "ClusterRole"]
    assert asked(lab.cluster, agent=AGENT) == granted_by(role["rules"])


def test_a_board_that_the_probe_cannot_reach_gets_no_work_until_it_is_back(lab: Lab, probe: ProbePod) -> None:
    wait_for(lambda: probe.condition().get("status") == "True" and probe.offers(), 60, "the board is offered")
    lab.sshd.stop()
    try:
        wait_for(lambda: probe.condition().get("status") == "False", 60, "the board is unreachable")
        assert probe.condition()["reason"] == "BoardUnreachable"
        wait_for(lambda: not probe.offers(), 30, "the board is not offered")
        lab.deploy("waits", warmup=13)
        told = wait_for(
            lambda: "is healthy" in (text := lab.status("waits").get("summary", {}).get("message", "")) and text,
            DEADLINE,
            "the deployment says why it waits",
        )
        assert f"no {BOARD} board is healthy: {NODE}: ssh://" in told
    finally:
        lab.sshd.start()
    wait_for(probe.offers, 60, "the board is offered again")
    lab.kubectl("delete", "dmsd", "waits", "--timeout=60s")


@pytest.mark.slow
def test_deleting_the_deployment_mid_run_ends_the_run_on_the_board(lab: Lab, over_ssh: dict[str, Any]) -> None:
    lab.deploy("gone", warmup=11, profile="normal")
    wait_for(lab.jobs_on_the_board, DEADLINE, "the board is timed")
    lab.kubectl("delete", "dmsd", "gone", "--timeout=60s")
    wait_for(lambda: not lab.sshd.runners(), 60, "no runner lives")
    wait_for(lambda: not list(lab.sshd.workdir.glob("run-*")), 10, "its files are gone")


@pytest.fixture(scope="module")
def away(lab: Lab, over_ssh: dict[str, Any]) -> dict[str, Any]:
    """The end of a deployment whose board stayed away for all of it, and is back now."""
    lab.sshd.stop()
    try:
        lab.deploy("away", warmup=12)
        return lab.wait_for_end("away")
    finally:
        lab.sshd.start()


@pytest.mark.slow
def test_a_board_that_stays_away_ends_unreachable_and_the_model_is_not_blamed(away: dict[str, Any]) -> None:
    (target,) = away["targets"]
    assert (away["phase"], target["reason"]) == ("Failed", "BoardUnreachable")
    assert "is unreachable" in target["message"] and "tried 3 times" in target["message"]
    (stage,) = [each for each in away["stages"] if each["stage"] == "benchmark"]
    assert stage["attempts"] == 2, "the Job tried again as well"


@pytest.mark.slow
def test_a_retry_after_the_board_is_back_gets_ready(lab: Lab, away: dict[str, Any]) -> None:
    assert away["phase"] == "Failed"
    lab.kubectl("annotate", "dmsd", "away", "dms.edge/retry=1")
    wait_for(lambda: is_over(lab.status("away")), DEADLINE, "the board is back")
