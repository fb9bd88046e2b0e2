"""Alerting and recording rules, and the metrics that they go by, by Prometheus' own tools."""

import re
import subprocess
from pathlib import Path

import yaml

from e2e.running import REPOSITORY
from observability.conftest import GONE, RULES, Scene
from tools import get_prometheus

DOCS = REPOSITORY / "docs" / "observability.md"
TESTS = Path(__file__).with_name("rules_test.yaml")


def promtool(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [get_prometheus.program("promtool"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def _rules(kind: str) -> set[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule[kind] for group in groups for rule in group["rules"] if kind in rule}


def test_the_rules_are_well_formed() -> None:
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_is_silent_when_it_should() -> None:
    done = promtool("test", "rules", TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tested = yaml.safe_load(TESTS.read_text())["tests"]
    cases = [case for one in tested for case in one.get("alert_rule_test", [])]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == _rules("alert")


def test_the_operators_metrics_follow_prometheus_conventions(scene: Scene) -> None:
    done = promtool("check", "metrics", stdin=scene.operator.get("/metrics")[1])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_docs_name_every_metric_and_no_other(scene: Scene) -> None:
    exported = set(re.findall(r"^# TYPE (dms_\w+)", scene.operator.get("/metrics")[1], re.MULTILINE))
    table = [line.split("|")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `dms_")]
    assert {name for cell in table for name in re.findall(r"`(dms_\w+)`", cell)} == exported


def test_nothing_is_left_of_a_deployment_that_is_gone(scene: Scene) -> None:
    series = f'deployment="{GONE}"'
    past = scene.prometheus.query(f'last_over_time({{{series}, __name__=~"dms_.+"}}[1h])')
    names = {each["metric"]["__name__"] for each in past}
    assert {"dms_deployment_phase", "dms_model_latency_seconds", "dms_rollout_nodes", "dms_rollout_paused"} <= names
    assert series not in scene.operator.get("/metrics")[1]
    assert scene.prometheus.query(f"{{{series}}}") == []


def test_a_real_prometheus_evaluates_every_rule_on_a_real_run(scene: Scene) -> None:
    rules = [rule for group in scene.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == _rules("alert") | _rules("record")
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule.get("lastError")} == {}
    pending = {rule["name"] for rule in rules if rule.get("state") in ("pending", "firing")}
    assert {"DMSBudgetMissed", "DMSDeploymentFailed"} <= pending
    assert not pending & {"DMSOperatorAbsent", "DMSOperatorStalled", "DMSBoardDown"}


def test_every_recorded_series_exists_on_a_real_run(scene: Scene) -> None:
    assert {name for name in _rules("record") if not scene.prometheus.query(name)} == set()
