"""The whole main job in the images: the operator in its container, and every stage of the example in its own."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from driver_monitor.dataset import write_dataset
from e2e import running
from e2e.running import REPOSITORY, Kubectl, wait_for
from images import containers
from images.operator_container import VOLUMES, OperatorContainer, claim, settings, volumes, wrapped_images

pytestmark = [pytest.mark.images, pytest.mark.slow, pytest.mark.timeout(900)]
DEADLINE = 600
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class MainJob:
    """The example, come to its end."""

    def __init__(self, kubectl: Kubectl, operator: OperatorContainer, directory: Path) -> None:
        self.kubectl, self.operator, self.directory = kubectl, operator, directory

    def deployment(self) -> dict[str, Any]:
        body: dict[str, Any] = self.kubectl.json("get", "dmsd", "driver-monitor")
        return body

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Job of each stage; of quantize, the one for int8."""
        items = self.kubectl.json("get", "jobs")["items"]
        return {item["metadata"]["labels"]["dms.edge/stage"]: item for item in items}

    def image(self, stage: str) -> str:
        return str(self.jobs()[stage]["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture(scope="module")
def job(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MainJob]:
    directory = tmp_path_factory.mktemp("images")
    claimed = volumes(directory)
    model = REPOSITORY / "examples" / "models" / "driver-monitor.pt2"
    (directory / "models" / model.name).write_bytes(model.read_bytes())
    write_dataset(directory / "data" / "dms-val.npz", samples=160, seed=7)
    process, cluster = running.start_dev_cluster(directory / "cluster", wrapped_images(directory / "wrapped"))
    kubectl = Kubectl(cluster.kubeconfig, directory).within(f"images-{uuid4().hex[:6]}")
    try:
        kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace, "labels": RESTRICTED}}
        )
        kubectl.apply(*claimed)
        kubectl("apply", "-f", str(REPOSITORY / "crds"))
        kubectl("wait", "--for=condition=Established", "crd/dmsmodeldeployments.dms.edge", "--timeout=60s")
        operator = OperatorContainer(cluster, settings(), directory, kubectl.namespace)
        try:
            operator.wait_ready()
            kubectl.apply(example())
            found = MainJob(kubectl, operator, directory)
            wait_for(lambda: ended(found), DEADLINE, f"the example comes to its end, see {operator.log}")
            yield found
        finally:
            code = operator.stop()
        assert code == 0, operator.log.read_text()
    finally:
        running.end(process)


def example() -> dict[str, Any]:
    """The example, with fewer samples."""
    body: dict[str, Any] = yaml.safe_load((REPOSITORY / "examples" / "driver-monitor.yaml").read_text())
    body["spec"]["quantization"]["maxAccuracyDrop"] = 0.05  # what so few samples can prove
    body["spec"]["dataset"] |= {"calibrationSamples": 32, "evaluationSamples": 120}
    body["spec"]["benchmark"] |= {"profile": "rapid", "simulationSamples": 4}
    return body


def ended(job: MainJob) -> bool:
    """Whether the deployment is Ready or Failed; shows each phase once."""
    status = job.deployment().get("status", {})
    show(f"{status.get('phase')}: {status.get('summary', {}).get('message', '')}")
    return status.get("phase") in ("Ready", "Failed")


def show(line: str, seen: list[str] = []) -> None:  # noqa: B006
    if line not in seen:
        seen.append(line)
        print(f"  {time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def test_the_operators_image_takes_the_example_to_ready_with_a_service_accounts_credentials(job: MainJob) -> None:
    status = job.deployment()["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert status["phase"] == "Ready", status["summary"]
    assert conditions == dict.fromkeys(("Ready", "ModelResolved", "Quantized", "Converted", "BudgetMet"), "True")
    print(f"  operator: {job.operator.memory().strip()}", file=sys.stderr)


def test_each_stage_ran_in_the_image_that_is_for_it(job: MainJob) -> None:
    wanted = {
        "resolve": "quantizer",
        "quantize": "quantizer",
        "convert": "converter-qnn",
        "benchmark": "benchmark-runner",
    }
    assert {stage: job.image(stage) for stage in wanted} == {
        stage: containers.reference(name) for stage, name in wanted.items()
    }


def test_the_converter_made_a_context_binary_for_the_boards_soc(job: MainJob) -> None:
    compiled = candidate(job)["compiled"]
    assert (compiled["soc"], compiled["delegation"]["npu"]) == ("SA8255", compiled["delegation"]["total"])
    blobs = [
        path for path in job.directory.glob("artifacts/blobs/sha256/*") if b"soc_type=SA8255;" in path.read_bytes()
    ]
    assert compiled["sizeBytes"] in [path.stat().st_size for path in blobs]


def test_the_benchmark_image_simulated_accuracy_and_latency(job: MainJob) -> None:
    benchmark = candidate(job)["benchmark"]
    assert "simulated" in [latency["provenance"] for latency in benchmark["latencies"]]
    assert benchmark["accuracyProvenance"] == "simulated" and benchmark["accuracyOnTarget"]["samples"] == 4


def candidate(job: MainJob) -> dict[str, Any]:
    """The one variant on its way to the one target."""
    (target,) = job.deployment()["status"]["targets"]
    (found,) = target["candidates"]
    return dict(found)


def test_artifacts_belong_to_the_user_without_rights(job: MainJob) -> None:
    blobs = list((job.directory / "artifacts" / "blobs").rglob("*"))
    assert {blob.stat().st_uid for blob in blobs} == {containers.USER} and blobs


def test_podman_plays_the_pod_that_the_operator_made_of_the_resolve_stage(job: MainJob, tmp_path: Path) -> None:
    pod = pod_of(job.jobs()["resolve"])
    name = pod["metadata"]["name"]
    folders = {volume: job.directory / volume for volume in ("models", "data")}
    folders["artifacts"] = containers.open_folder(tmp_path / "artifacts")
    for volume, folder in folders.items():
        options = ("--opt=type=none", "--opt=o=bind", f"--opt=device={folder}")
        assert containers.podman("volume", "create", *options, claim(volume)).returncode == 0
    played = containers.podman("kube", "play", "--network=none", "-", stdin=json.dumps(pod))
    try:
        assert played.returncode == 0, played.stderr
        container = f"{name}-{pod['spec']['containers'][0]['name']}"
        code = containers.podman("wait", container).stdout.strip()
        logs = containers.podman("logs", container)
        assert code == "0", logs.stdout + logs.stderr
        result = next(line for line in logs.stdout.splitlines() if line.startswith("@result "))
        assert json.loads(result.removeprefix("@result "))["model"]["format"] == "pt2"
    finally:
        containers.podman("pod", "rm", "--force", name)
        containers.podman("volume", "rm", *map(claim, VOLUMES))


def test_the_operator_goes_on_when_its_token_is_rotated(job: MainJob) -> None:
    job.kubectl("create", "--raw", "/-/happenings", "-f", "-", stdin=json.dumps({"what": "expire-token"}))
    wait_for(lambda: job.kubectl.run("get", "namespaces").returncode == 0, 30, "the kubeconfig has the new token")
    job.operator.rotate_token()
    job.kubectl(
        "patch", "dmsd", "driver-monitor", "--type=merge", "-p", '{"spec": {"benchmark": {"latencyBudget": "40ms"}}}'
    )

    def is_seen() -> bool:
        body = job.deployment()
        return bool(body["status"]["observedGeneration"] == body["metadata"]["generation"])

    wait_for(is_seen, 180, f"the operator saw the new budget with its new token, see {job.operator.log}")


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    """A Job's pod template as a Pod; podman knows no Jobs."""
    template = job["spec"]["template"]
    metadata = {"name": job["metadata"]["name"], "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
