"""`dms operator check`: says that an operator works, or what keeps it from doing so, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dms_operator.controller.check import AGENT
from e2e import running
from e2e.audit import asked, granted_by
from e2e.conftest import FakeStages, StartOperator
from e2e.running import Cluster, Kubectl
from helm.rendering import MATRIX, of_kind, render
from tools import get_helm


def check(kubectl: Kubectl, *options: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("dms"))
    command = [program, "operator", "check", f"--namespace={kubectl.namespace}", *options]
    environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_an_operator_that_works_answers(kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages) -> None:
    operator_process(stages.settings)
    done = check(kubectl)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the operator answers: ")
    running.wait_for(lambda: not kubectl.json("get", "dmsd")["items"], 30, "nothing is left behind")
    assert kubectl.json("get", "jobs")["items"] == []


@pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
def test_it_asks_for_what_the_role_of_helm_test_grants_and_uses_all_of_it(
    cluster: Cluster, kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator_process(stages.settings)
    assert check(kubectl).returncode == 0
    [role] = [each for each in of_kind(render(MATRIX[0]), "Role") if each["metadata"]["name"].endswith("-check")]
    assert asked(cluster, kubectl.namespace, agent=AGENT) == granted_by(role["rules"])


def test_without_an_operator_it_says_where_to_look(kubectl: Kubectl) -> None:
    done = check(kubectl, "--timeout=2")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f"no operator answered within 2 s: see its log, and whether it watches the namespace {kubectl.namespace}"
        in (done.stderr)
    )
    assert kubectl.json("get", "dmsd")["items"] == []


def test_a_namespace_that_is_not_there_is_told(kubectl: Kubectl) -> None:
    done = check(kubectl.within("nowhere"))
    assert done.returncode == 1
    assert 'namespaces "nowhere" not found (404)' in done.stderr
