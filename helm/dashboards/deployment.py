"""One deployment: latency against its budget with provenance, accuracy, power, size, conditions."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .page import OBJECT, dashboard
from .panels import BLUE, GREEN, RED, figure, graph, rows, states
from .rollout import with_rollout


def deployment() -> Dashboard:
    """The page for a deployment's owner."""
    latency = f"dms_model_latency_seconds{{{OBJECT}}}"
    ready = f'max(dms_deployment_condition{{{OBJECT}, type="Ready", status="True"}}) or vector(0)'
    names = {name: name.capitalize() for name in ("target", "board", "precision", "method", "revision")}
    board = dashboard(
        "DMS / Deployment", "dms-deployment", "One deployment in depth.", ("namespace", "deployment"), single=True
    )
    return with_rollout(
        board.with_panel(figure("Ready", ready, "bool_yes_no", "Condition Ready", (None, RED), (1, GREEN)))
        .with_panel(
            figure(
                "Latency bound",
                f"max(dms_model_latency_bound_seconds{{{OBJECT}}})",
                "s",
                "Upper confidence bound of the gated percentile, slowest target",
            )
        )
        .with_panel(
            figure("Budget", f"max(dms_model_latency_budget_seconds{{{OBJECT}}})", "s", "spec.benchmark.latencyBudget")
        )
        .with_panel(
            figure(
                "Accuracy drop",
                f"max(dms_model_accuracy_drop_ratio{{{OBJECT}}})",
                "percentunit",
                "Against the fp32 model, worst target",
                (None, GREEN),
            )
        )
        .with_panel(
            figure(
                "On the NPU",
                f"min(dms_model_npu_delegation_ratio{{{OBJECT}}})",
                "percentunit",
                "Graph nodes that do not run on the CPU",
                (None, RED),
                (1, GREEN),
            )
        )
        .with_panel(
            figure(
                "Throughput",
                f"min(dms_model_throughput_ips{{{OBJECT}}})",
                "ops",
                "Inferences per second, slowest target",
                (None, BLUE),
            )
        )
        .with_panel(
            graph(
                "Latency and its budget",
                "s",
                "By provenance: measured on the board, simulated, estimated, or the build machine's (host)",
                (latency, "{{target}} {{precision}} {{statistic}} {{provenance}}"),
                (f"max(dms_model_latency_budget_seconds{{{OBJECT}}})", "budget"),
                limit=True,
            )
        )
        .with_panel(
            graph(
                "Accuracy",
                "percentunit",
                "Of the fp32 model, of the variant, and on the target's own arithmetic",
                (f"dms_model_accuracy_ratio{{{OBJECT}}}", "{{target}} {{stage}}"),
            )
        )
        .with_panel(
            graph(
                "Accuracy drop and its limit",
                "percentunit",
                "Against the fp32 model",
                (f"dms_model_accuracy_drop_ratio{{{OBJECT}}}", "{{target}}"),
                (f"max(dms_model_accuracy_drop_limit_ratio{{{OBJECT}}})", "limit"),
                limit=True,
            )
        )
        .with_panel(
            graph(
                "Power above idle",
                "watt",
                "Measured on the board; no line where nothing could be measured",
                (f"dms_model_power_watts{{{OBJECT}}}", "{{target}}"),
            )
        )
        .with_panel(
            states(
                "Conditions",
                "True, False or Unknown over time",
                (
                    f'max by (type) (dms_deployment_condition{{{OBJECT}, status="True"}}) '
                    f'or -max by (type) (dms_deployment_condition{{{OBJECT}, status="False"}}) '
                    f'or 0 * max by (type) (dms_deployment_condition{{{OBJECT}, status="Unknown"}})',
                    "{{type}}",
                ),
                {"1": "True=green", "0": "Unknown=orange", "-1": "False=red"},
                width=12,
            )
        )
        .with_panel(
            rows(
                "Selected variants",
                "What the boards load",
                (
                    (
                        "Size",
                        "bytes",
                        f"max by (target, board, precision, method, revision) (dms_deployment_info{{{OBJECT}}}"
                        f" * on (namespace, deployment, target) group_left () dms_artifact_size_bytes)",
                    ),
                ),
                names,
                width=12,
            )
        )
    )
