"""Pods that really run: what they see, how they end, and that nothing of them stays."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.recordings import exchange
from devcluster.whole import SANDBOX, Whole, children, pod, shell, whole

Json = dict[str, Any]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(tmp_path) as running:
        yield running
    assert not children(str(tmp_path)), "processes were left behind"


async def test_a_container_ends_well_with_its_message_and_log(here: Whole) -> None:
    here.create(pod("p", shell(f"echo hello; echo there >&2; printf done > {SANDBOX}/dev/termination-log")))
    end = await here.ended("p")
    assert (end["exitCode"], end["reason"], end["message"]) == (0, "Completed", "done")
    assert sorted((await here.log("p")).splitlines()) == ["hello", "there"]
    assert here.pod("p")["status"]["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [("exit 3", 3, "Error"), ("kill -9 $$$$", 137, "Error"), ("kill -15 $$$$", 143, "Error")],
)
async def test_exit_codes_and_signals_become_reasons(here: Whole, script: str, code: int, reason: str) -> None:
    here.create(pod("p", shell(script)))
    end = await here.ended("p")
    assert (end["exitCode"], end["reason"]) == (code, reason)
    assert here.pod("p")["status"]["phase"] == "Failed"


async def test_a_command_that_does_not_exist_is_a_start_error_in_the_recorded_words(here: Whole) -> None:
    recorded = exchange("11", "command not found")["response"]["body"]["items"][0]["status"]["containerStatuses"][0]
    expected = recorded["state"]["terminated"]
    here.create(pod("p", {**shell(""), "command": ["/does/not/exist"]}))
    end = await here.ended("p")
    fields = ("exitCode", "reason", "message", "startedAt")
    assert {key: end[key] for key in fields} == {key: expected[key] for key in fields}


async def test_a_command_without_a_path_is_looked_up_in_the_image(here: Whole) -> None:
    here.create(pod("p", {**shell(""), "command": ["no-such-program"]}))
    assert (await here.ended("p"))["message"].endswith('exec: "no-such-program": executable file not found in $PATH')


async def test_an_image_that_may_not_be_pulled_waits_in_the_recorded_words(here: Whole) -> None:
    recorded = exchange("11", "image not there")["response"]["body"]["items"][0]["status"]["containerStatuses"][0]
    here.create(pod("p", {**shell("x"), "image": "localhost/none:1"}))
    await here.until(lambda: here.container("p")["state"] == recorded["state"], "ErrImageNeverPull")
    assert ("Warning", "Failed", "Error: ErrImageNeverPull") in here.events("p")


async def test_an_image_that_cannot_be_pulled_backs_off(here: Whole) -> None:
    here.create(pod("p", {**shell("x"), "image": "nowhere/none:1", "imagePullPolicy": "IfNotPresent"}))
    seen: set[str] = set()

    def both() -> bool:
        seen.add((here.container("p")["state"].get("waiting") or {}).get("reason", ""))
        return {"ErrImagePull", "ImagePullBackOff"} <= seen

    await here.until(both, "ErrImagePull and ImagePullBackOff")


async def test_a_missing_secret_is_waited_for(here: Whole) -> None:
    variable = {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    here.create(pod("p", shell("echo $B", env=[variable])))
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}
    await here.until(lambda: here.container("p")["state"].get("waiting") == waiting, "CreateContainerConfigError")
    here.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}})
    await here.ended("p")
    assert await here.log("p") == "v\n"


async def test_a_missing_config_map_volume_is_waited_for_in_the_recorded_words(here: Whole) -> None:
    volumes = [{"name": "cm", "configMap": {"name": "kept2"}}]
    mounted = shell(f"cat {SANDBOX}/cm/k; ls -A {SANDBOX}/cm", volumeMounts=[{"name": "cm", "mountPath": "/cm"}])
    here.create(pod("p", mounted, volumes=volumes))
    message = 'MountVolume.SetUp failed for volume "cm" : configmap "kept2" not found'
    await here.until(lambda: ("Warning", "FailedMount", message) in here.events("p"), "FailedMount")
    assert here.container("p")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    here.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept2"}, "data": {"k": "v\n"}})
    await here.ended("p")
    lines = (await here.log("p")).splitlines()
    assert lines[0] == "v"
    assert lines[2:] == ["..data", "k"]


async def test_environment_comes_from_values_fields_resources_and_objects(here: Whole) -> None:
    here.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"x": "1", "y": "2"}})
    here.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"token": "t"}})
    fields = {
        "NODE": "spec.nodeName",
        "POD": "metadata.name",
        "SPACE": "metadata.namespace",
        "L": "metadata.labels['a']",
    }
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$$(A)-$(NOPE)"},
        {"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "y"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "z", "optional": True}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]
    sources = [{"configMapRef": {"name": "m"}, "prefix": "M_"}, {"secretRef": {"name": "s"}}]
    resources = {"requests": {"cpu": "250m"}}
    wanted = pod("p", shell("env", env=env, envFrom=sources, resources=resources))
    wanted["metadata"]["labels"] = {"a": "b"}
    here.create(wanted)
    await here.ended("p")
    seen = dict(line.split("=", 1) for line in (await here.log("p")).splitlines())
    expected = {
        "A": "1", "B": "1-$(A)-$(NOPE)", "Y": "2", "CPU": "250", "NODE": "build-1", "POD": "p", "SPACE": "default",
        "L": "b", "M_x": "1", "M_y": "2", "token": "t",
    }  # fmt: skip
    assert {key: seen.get(key) for key in expected} == expected
    assert "NONE" not in seen


async def test_nothing_of_the_cluster_environment_leaks_into_a_container(here: Whole, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak")
    here.create(pod("p", shell("env"), automountServiceAccountToken=False))
    await here.ended("p")
    names = {line.split("=", 1)[0] for line in (await here.log("p")).splitlines()}
    allowed = {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "PWD",
        "CONTAINER_SANDBOX_MOUNT_POINT",
        "SHLVL",
        "_",
        "OLDPWD",
    }
    assert names <= allowed


async def test_an_account_token_is_mounted_unless_refused(here: Whole) -> None:
    look = f"ls {SANDBOX}/var/run/secrets/kubernetes.io/serviceaccount; echo $KUBERNETES_SERVICE_PORT"
    here.create(pod("with", shell(look)))
    here.create(pod("without", shell(look), automountServiceAccountToken=False))
    await here.ended("with")
    await here.ended("without")
    assert (await here.log("with")).split() == ["ca.crt", "namespace", "token", str(here.cluster.server.port)]
    assert str(here.cluster.server.port) not in await here.log("without")


async def test_volumes_of_every_kind_are_found_in_the_sandbox(here: Whole, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "model").write_text("weights")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    here.create({**secret, "data": {"k": base64.b64encode(b"\x00\xff").decode()}})
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    here.create(claim)
    field = {"path": "labels", "fieldRef": {"fieldPath": "metadata.name"}}
    volumes = [
        {"name": "host", "hostPath": {"path": str(tmp_path / "host"), "type": "Directory"}},
        {"name": "scratch", "emptyDir": {}},
        {
            "name": "secret",
            "secret": {"secretName": "s", "items": [{"key": "k", "path": "deep/key", "mode": 0o400}]},
        },
        {"name": "down", "downwardAPI": {"items": [field]}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
    ]
    mounts = [{"name": item["name"], "mountPath": f"/mnt/{item['name']}"} for item in volumes]
    writer = shell(
        f"cd {SANDBOX}/mnt; echo shared > scratch/f; cat down/labels; echo kept > claim/f",
        volumeMounts=mounts,
    )
    script = f"cd {SANDBOX}/mnt; cat host/model scratch/f claim/f; cd secret/deep; od -An -tx1 key; stat -Lc %a key"
    reader = shell(script, volumeMounts=mounts)
    here.create(pod("p", reader, initContainers=[{**writer, "name": "i"}], volumes=volumes))
    await here.ended("p")
    assert await here.log("p") == "weightsshared\nkept\n 00 ff\n400\n"
    assert await here.log("p", "i") == "p"


async def test_a_mount_cannot_leave_the_sandbox(here: Whole) -> None:
    mounts = [{"name": "v", "mountPath": "/../../../escape"}]
    here.create(
        pod(
            "p",
            shell(f"ls -d {SANDBOX}/escape", volumeMounts=mounts),
            volumes=[{"name": "v", "emptyDir": {}}],
        )
    )
    assert (await here.ended("p"))["exitCode"] == 0


async def test_init_containers_run_one_after_the_other_before_the_rest(here: Whole) -> None:
    volumes, mounts = [{"name": "v", "emptyDir": {}}], [{"name": "v", "mountPath": "/v"}]
    first = {**shell(f"sleep 0.2; echo 1 >> {SANDBOX}/v/f", volumeMounts=mounts), "name": "first"}
    second = {**shell(f"echo 2 >> {SANDBOX}/v/f", volumeMounts=mounts), "name": "second"}
    here.create(
        pod(
            "p",
            shell(f"cat {SANDBOX}/v/f", volumeMounts=mounts),
            initContainers=[first, second],
            volumes=volumes,
        )
    )
    await here.ended("p")
    assert await here.log("p") == "1\n2\n"


async def test_a_failed_init_container_fails_the_pod_and_starts_nothing_else(here: Whole) -> None:
    here.create(pod("p", shell("echo never"), initContainers=[{**shell("exit 4"), "name": "i"}]))
    status = (await here.phase("p", "Failed"))["status"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_several_containers_run_at_the_same_time_and_share_volumes(here: Whole) -> None:
    volumes, mounts = [{"name": "v", "emptyDir": {}}], [{"name": "v", "mountPath": "/v"}]
    ask = {
        **shell(f"until [ -e {SANDBOX}/v/f ]; do sleep 0.05; done; echo met", volumeMounts=mounts),
        "name": "ask",
    }
    answer = {**shell(f"touch {SANDBOX}/v/f", volumeMounts=mounts), "name": "answer"}
    here.create(pod("p", ask, answer, volumes=volumes))
    await here.ended("p")
    assert await here.log("p", "ask") == "met\n"


async def test_memory_over_the_limit_is_killed_as_out_of_memory(here: Whole) -> None:
    hog = "python3 -c 'x = bytearray(200 << 20); import time; time.sleep(30)'"
    here.create(pod("p", shell(hog, resources={"limits": {"memory": "50Mi"}})))
    end = await here.ended("p")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


async def test_memory_within_the_limit_is_left_alone(here: Whole) -> None:
    here.create(pod("p", shell("python3 -c 'x = bytearray(5 << 20)'", resources={"limits": {"memory": "200Mi"}})))
    assert (await here.ended("p"))["reason"] == "Completed"


async def test_on_failure_a_container_is_started_again_until_it_ends_well(here: Whole) -> None:
    volumes, mounts = [{"name": "v", "emptyDir": {}}], [{"name": "v", "mountPath": "/v"}]
    script = f"echo x >> {SANDBOX}/v/f; echo run $(wc -l < {SANDBOX}/v/f); [ $(wc -l < {SANDBOX}/v/f) -ge 3 ]"
    here.create(pod("p", shell(script, volumeMounts=mounts), restartPolicy="OnFailure", volumes=volumes))
    await here.ended("p")
    status = here.container("p")
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (2, 1)
    assert (await here.log("p"), await here.log("p", previous=True)) == ("run 3\n", "run 2\n")


async def test_a_container_that_keeps_failing_is_in_crash_loop_back_off(here: Whole) -> None:
    here.create(pod("p", shell("exit 1"), restartPolicy="Always"))

    def looping() -> bool:
        return (here.container("p")["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff"

    await here.until(looping, "CrashLoopBackOff")
    assert here.pod("p")["status"]["phase"] == "Running"
    assert any(reason == "BackOff" for _, reason, _ in here.events("p"))


async def test_logs_stand_in_for_a_termination_message_when_asked(here: Whole) -> None:
    here.create(pod("p", shell("echo why; exit 1", terminationMessagePolicy="FallbackToLogsOnError")))
    assert (await here.ended("p"))["message"] == "why\n"


async def test_a_pod_past_its_deadline_is_ended(here: Whole) -> None:
    here.create(pod("p", shell("sleep 60"), activeDeadlineSeconds=1, terminationGracePeriodSeconds=1))
    status = (await here.phase("p", "Failed"))["status"]
    assert status["reason"] == "DeadlineExceeded"


async def test_a_deleted_pod_hears_sigterm_and_may_finish(here: Whole) -> None:
    directory = here.cluster.config.data_directory
    script = f"trap 'echo bye > {SANDBOX}/v/f; exit 0' TERM; touch {SANDBOX}/v/ready; sleep 60 & wait"
    volumes = [{"name": "v", "hostPath": {"path": str(directory)}}]
    here.create(pod("p", shell(script, volumeMounts=[{"name": "v", "mountPath": "/v"}]), volumes=volumes))
    await here.until((directory / "ready").exists, "its trap is set")
    here.client.delete("pods", "default", "p")
    await here.until(lambda: here.client.get("pods", "default", "p") is None, "the pod is gone")
    assert (directory / "f").read_text() == "bye\n"
    assert ("Normal", "Killing", "Stopping container c") in here.events("p")


async def test_a_pod_that_does_not_listen_is_killed_with_all_its_children(here: Whole, tmp_path: Path) -> None:
    stubborn = "trap '' TERM; (trap '' TERM; setsid sleep 61) & sleep 62; sleep 63"
    here.create(pod("p", shell(stubborn), terminationGracePeriodSeconds=1))
    await here.phase("p", "Running")
    await here.until(lambda: len(children(str(tmp_path))) >= 3, "its children run")
    here.client.delete("pods", "default", "p")
    await here.until(lambda: here.client.get("pods", "default", "p") is None, "the pod is gone")
    assert not children(str(tmp_path))


async def test_late_news_of_a_pod_that_is_gone_start_nothing(here: Whole) -> None:
    kubelet = here.cluster.kubelet
    assert kubelet is not None
    here.create(pod("p", shell("true")))
    await here.ended("p")
    late = here.pod("p")
    here.client.delete("pods", "default", "p")
    await here.until(lambda: not kubelet._workers, "its worker is gone")
    kubelet._pod_changed(late)
    assert not kubelet._workers


async def test_what_a_container_leaves_running_ends_with_it(here: Whole, tmp_path: Path) -> None:
    here.create(pod("p", shell("setsid sleep 64 > /dev/null 2>&1 & exit 0")))
    await here.ended("p")
    assert not children(str(tmp_path))


async def test_the_directory_of_a_deleted_pod_is_removed(here: Whole) -> None:
    here.create(pod("p", shell("true")))
    await here.ended("p")
    directory = here.cluster.config.data_directory / "pods" / here.pod("p")["metadata"]["uid"]
    assert directory.is_dir()
    here.client.delete("pods", "default", "p")
    await here.until(lambda: not directory.exists(), "the directory is gone")


async def test_a_pod_that_is_deleted_while_it_starts_still_hears_of_it(here: Whole) -> None:
    for attempt in range(10):
        here.create(pod(f"p{attempt}", shell("sleep 30")))
        await here.phase(f"p{attempt}", "Running")
        here.client.delete("pods", "default", f"p{attempt}")
    await here.until(lambda: not here.client.list("pods"), "all are gone long before the grace period of 30 s")
