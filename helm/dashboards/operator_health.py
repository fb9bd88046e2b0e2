"""The operator itself: does it keep up, what does it ask of the API server, what does it cost."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .page import dashboard
from .panels import GREEN, ORANGE, RED, figure, graph

_OURS = "and on (job, instance) dms_queue_depth"
"""Processes that are a dms-operator, whatever the scrape job is called."""
_RECONCILE = "rate(dms_reconcile_duration_seconds_bucket[$__rate_interval])"


def operator_health() -> Dashboard:
    """The page for the platform team."""
    return (
        dashboard("DMS / Operator", "dms-operator", "Health of the operator's process.")
        .with_panel(
            figure(
                "Without progress",
                "max(dms_queue_stall_seconds)",
                "s",
                "How long no key came through though some are due; a restart follows at 180 s",
                (None, GREEN),
                (30, ORANGE),
                (90, RED),
            )
        )
        .with_panel(figure("Queue", "sum(dms_queue_depth)", "short", "Keys that are due, and events to post"))
        .with_panel(
            figure(
                "Silent watches",
                "sum(dms_watches_silent)",
                "short",
                "Watches without a sign of life",
                (None, GREEN),
                (1, RED),
            )
        )
        .with_panel(
            figure(
                "Reconcile errors",
                "sum(rate(dms_reconcile_errors_total[5m])) or vector(0)",
                "cps",
                "In five minutes",
                (None, GREEN),
                (0.1, ORANGE),
            )
        )
        .with_panel(figure("Memory", f"max(process_resident_memory_bytes {_OURS})", "bytes", "Resident memory"))
        .with_panel(
            figure(
                "CPU", f"sum(rate(process_cpu_seconds_total[$__rate_interval]) {_OURS})", "percentunit", "Cores in use"
            )
        )
        .with_panel(
            graph(
                "Time of a reconcile",
                "s",
                "Median and 99 %",
                (f"histogram_quantile(0.5, sum by (le) ({_RECONCILE}))", "median"),
                (f"histogram_quantile(0.99, sum by (le) ({_RECONCILE}))", "99 %"),
            )
        )
        .with_panel(
            graph(
                "Requests to the API server",
                "reqps",
                "By verb and answer",
                ("sum by (verb, code) (rate(dms_api_requests_total[$__rate_interval]))", "{{verb}} {{code}}"),
            )
        )
        .with_panel(graph("Queue", "short", "Keys that are due", ("sum(dms_queue_depth)", "keys")))
        .with_panel(
            graph(
                "Retries of stages",
                "short",
                "Failed pods in the last hour",
                ("sum by (stage) (increase(dms_stage_retries_total[1h]))", "{{stage}}"),
            )
        )
    )
