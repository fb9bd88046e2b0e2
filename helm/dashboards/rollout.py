"""Rollouts: how far each is over its vehicles, what holds it, and what was taken back."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .page import OBJECT
from .panels import BLUE, GREEN, GREY, ORANGE, RED, figure, graph, rows, states

_BY = "namespace, deployment"
_NODES = f"dms_rollout_nodes{{{OBJECT}}}"
_PAUSED = f"dms_rollout_paused{{{OBJECT}}}"
_APPROVAL = f'dms_rollout_paused{{{OBJECT}, reason="ApprovalRequired"}}'
_ROLLED_BACK = f"dms_rollout_rolled_back{{{OBJECT}}}"
_UPDATED = f'dms_rollout_nodes{{{OBJECT}, state="updated"}}'
_FAILED = f'dms_rollout_nodes{{{OBJECT}, state="failed"}}'
_STATES = {
    "updated": GREEN,
    "updating": BLUE,
    "prefetching": "light-blue",
    "pending": GREY,
    "failed": RED,
    "offline": ORANGE,
    "held": "yellow",
}
_VEHICLES_HELP = "By how they stand towards the revision that is rolled out; together they are all vehicles chosen"


def _share(by: str = "") -> str:
    """Part of the vehicles that run the revision."""
    return f"sum{by} ({_UPDATED}) / (sum{by} ({_NODES}) > 0)"


def with_rollouts(board: Dashboard) -> Dashboard:
    """All rollouts, for the fleet overview."""
    alarm = ((None, GREEN), (1, RED))
    return (
        board.with_panel(
            figure(
                "Rolling out",
                f'sum(dms_deployment_phase{{{OBJECT}, phase="RollingOut"}})',
                "short",
                "Deployments that are RollingOut",
            )
        )
        .with_panel(
            figure(
                "Wait for approval",
                f"sum({_APPROVAL})",
                "short",
                "Rollouts whose next wave a person has to approve (dms.edge/approve)",
                (None, GREEN),
                (1, ORANGE),
            )
        )
        .with_panel(
            figure(
                "Paused rollouts",
                f"sum(max by ({_BY}) ({_PAUSED}))",
                "short",
                "Rollouts that start nothing now, for whatever reason",
                (None, GREEN),
                (1, ORANGE),
            )
        )
        .with_panel(
            figure(
                "Rolled back",
                f"sum({_ROLLED_BACK})",
                "short",
                "Deployments whose present revision was taken back",
                *alarm,
            )
        )
        .with_panel(
            figure(
                "Vehicles updated", _share(), "percentunit", "Vehicles that run the revision asked for, of all chosen"
            )
        )
        .with_panel(
            figure(
                "Failed vehicles", f"sum({_FAILED})", "short", "On which the revision failed in all attempts", *alarm
            )
        )
        .with_panel(
            rows(
                "Rollouts",
                "One row per deployment with vehicles",
                (
                    ("Wave", "short", f"max by ({_BY}) (dms_rollout_wave{{{OBJECT}}})"),
                    ("of waves", "short", f"max by ({_BY}) (dms_rollout_waves{{{OBJECT}}})"),
                    ("Updated", "percentunit", _share(f" by ({_BY})")),
                    ("Vehicles", "short", f"sum by ({_BY}) ({_NODES})"),
                    ("Failed", "short", f"sum by ({_BY}) ({_FAILED})"),
                    ("Rolled back", "bool_yes_no", f"max by ({_BY}) ({_ROLLED_BACK})"),
                ),
                _headings("namespace", "deployment"),
                width=12,
            )
        )
        .with_panel(
            rows(
                "What rollouts wait for",
                "Reasons for which nothing is started; status.rollout.pauses says what to do",
                (("Paused", "bool_yes_no", f"max by ({_BY}, reason) ({_PAUSED}) == 1"),),
                _headings("namespace", "deployment", "reason"),
                width=12,
            )
        )
        .with_panel(
            graph(
                "Vehicles by state",
                "short",
                f"{_VEHICLES_HELP}, of all deployments",
                (f"sum by (state) ({_NODES})", "{{state}}"),
                width=24,
                stacked=_STATES,
            )
        )
    )


def with_rollout(board: Dashboard) -> Dashboard:
    """One deployment's rollout, for its page."""
    return (
        board.with_panel(
            figure(
                "Vehicles updated", _share(), "percentunit", "Vehicles that run the revision asked for, of all chosen"
            )
        )
        .with_panel(
            figure(
                "Failed vehicles",
                f"sum({_FAILED})",
                "short",
                "On which the revision failed in all attempts",
                (None, GREEN),
                (1, RED),
            )
        )
        .with_panel(
            figure(
                "Waits for approval",
                f"max({_APPROVAL})",
                "bool_yes_no",
                "The next wave begins when a person approves it (dms.edge/approve)",
                (None, GREEN),
                (1, ORANGE),
            )
        )
        .with_panel(
            figure(
                "Rolled back",
                f"max({_ROLLED_BACK})",
                "bool_yes_no",
                "The revision that the spec asks for was taken back",
                (None, GREEN),
                (1, RED),
            )
        )
        .with_panel(figure("Wave", f"max(dms_rollout_wave{{{OBJECT}}})", "short", "The present one, from 1"))
        .with_panel(
            figure("of waves", f"max(dms_rollout_waves{{{OBJECT}}})", "short", "spec.rollout.waves", (None, BLUE))
        )
        .with_panel(
            graph(
                "Vehicles by state",
                "short",
                _VEHICLES_HELP,
                (f"sum by (state) ({_NODES})", "{{state}}"),
                stacked=_STATES,
            )
        )
        .with_panel(
            states(
                "Pauses",
                "For which reasons nothing was started",
                (f"max by (reason) ({_PAUSED})", "{{reason}}"),
                {"0": "no=green", "1": "paused=orange"},
                width=12,
            )
        )
    )


def _headings(*labels: str) -> Mapping[str, str]:
    return {label: label.capitalize() for label in labels}
