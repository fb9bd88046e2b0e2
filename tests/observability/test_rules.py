"""Alerting and recording rules, by Prometheus' own tools."""

import subprocess
from pathlib import Path

import yaml

from observability.conftest import RULES, Scene
from tools import get_prometheus

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


def test_no_alert_is_without_a_test() -> None:
    tested = yaml.safe_load(TESTS.read_text())["tests"]
    assert {case["alertname"] for one in tested for case in one.get("alert_rule_test", [])} == _rules("alert")


def test_the_operators_metrics_follow_prometheus_conventions(scene: Scene) -> None:
    done = promtool("check", "metrics", stdin=scene.operator.get("/metrics")[1])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_real_prometheus_evaluates_every_rule_on_a_real_run(scene: Scene) -> None:
    rules = [rule for group in scene.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == _rules("alert") | _rules("record")
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule.get("lastError")} == {}
    pending = {rule["name"] for rule in rules if rule.get("state") in ("pending", "firing")}
    assert {"DMSBudgetMissed", "DMSDeploymentFailed"} <= pending
    assert not pending & {"DMSOperatorAbsent", "DMSOperatorStalled", "DMSBoardDown"}


def test_every_recorded_series_exists_on_a_real_run(scene: Scene) -> None:
    assert {name for name in _rules("record") if not scene.prometheus.query(name)} == set()
