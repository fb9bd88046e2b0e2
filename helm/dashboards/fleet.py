"""All deployments at a glance: which are ready, how fast and how accurate, and what is being worked on."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .page import OBJECT, dashboard
from .panels import BLUE, GREEN, ORANGE, RED, figure, graph, rows
from .rollout import with_rollouts

_BY = "namespace, deployment, target"
_LATENCY = f"dms_model_latency_bound_seconds{{{OBJECT}}}"
_BUDGET = "on (namespace, deployment) group_left () dms_model_latency_budget_seconds"
_HEADROOM = f"1 - max by ({_BY}) ({_LATENCY}) / {_BUDGET}"
_LABELS = ("namespace", "deployment", "target", "board", "precision", "provenance")
_NAMES = {label: label.capitalize() for label in _LABELS}


def fleet() -> Dashboard:
    """The first page."""
    board = dashboard("DMS / Fleet overview", "dms-fleet", "All DMS model deployments.", ("namespace", "deployment"))
    for text, phase, colour in (
        ("Ready", "Ready", GREEN),
        ("Failed", "Failed", RED),
        ("Suspended", "Suspended", ORANGE),
    ):
        query = f'sum(dms_deployment_phase{{{OBJECT}, phase="{phase}"}})'
        steps = ((None, BLUE), (1, colour))
        board = board.with_panel(figure(text, query, "short", f"Deployments that are {phase}", *steps))
    working = 'phase=~"Pending|Resolving|Quantizing|Converting|Benchmarking|RollingOut"'
    return with_rollouts(
        board.with_panel(
            figure("In progress", f"sum(dms_deployment_phase{{{OBJECT}, {working}}})", "short", "Deployments under way")
        )
        .with_panel(
            figure(
                "Tightest headroom",
                f"min({_HEADROOM})",
                "percentunit",
                "Share of the latency budget that is left, of the deployment that has least",
                (None, RED),
                (0, ORANGE),
                (0.2, GREEN),
            )
        )
        .with_panel(
            figure(
                "Largest drop",
                f"max(dms_model_accuracy_drop_ratio{{{OBJECT}}})",
                "percentunit",
                "Accuracy lost against the fp32 model, of the worst target",
            )
        )
        .with_panel(
            rows(
                "Selected variants",
                "One row per target: what is deployed, with its latency bound and where that comes from",
                (
                    ("Latency bound", "s", f"max by ({_BY}, board, precision, provenance) ({_LATENCY})"),
                    ("Budget used", "percentunit", f"1 - ({_HEADROOM})"),
                    ("Accuracy drop", "percentunit", f"max by ({_BY}) (dms_model_accuracy_drop_ratio{{{OBJECT}}})"),
                    ("On the NPU", "percentunit", f"max by ({_BY}) (dms_model_npu_delegation_ratio{{{OBJECT}}})"),
                    ("Size", "bytes", f"max by ({_BY}) (dms_artifact_size_bytes{{{OBJECT}}})"),
                ),
                _NAMES,
            )
        )
        .with_panel(
            graph(
                "Deployments by phase",
                "short",
                "How many deployments are in each phase",
                (f"sum by (phase) (dms_deployment_phase{{{OBJECT}}}) > 0", "{{phase}}"),
            )
        )
        .with_panel(
            graph(
                "Stages under way",
                "short",
                "Stages that wait for a pod, or run",
                (f"sum by (stage, state) (dms_stage_active{{{OBJECT}}})", "{{stage}} {{state}}"),
            )
        )
        .with_panel(
            graph(
                "Time of a stage, 95 %",
                "s",
                "Of stages that ended in the last hour",
                (
                    "histogram_quantile(0.95, sum by (stage, le) (rate(dms_stage_duration_seconds_bucket[1h])))",
                    "{{stage}}",
                ),
            )
        )
        .with_panel(
            graph(
                "Ended stages",
                "short",
                "In the last hour, by outcome",
                ("sum by (stage, outcome) (increase(dms_stage_duration_seconds_count[1h]))", "{{stage}} {{outcome}}"),
            )
        )
    )
