"""The bench: which boards there are, which are busy, which are down, and how long benchmarks wait for them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .page import dashboard
from .panels import BLUE, GREEN, ORANGE, RED, figure, graph, rows

_BOARD = 'board=~"$board"'


def _wait(quantile: float, hours: int, by: str = "") -> str:
    """A quantile of the time that benchmarks waited for their board."""
    waits = f"rate(dms_board_wait_seconds_bucket{{{_BOARD}}}[{hours}h])"
    return f"histogram_quantile({quantile}, sum by ({by}le) ({waits}))"


def boards() -> Dashboard:
    """The page for whoever keeps the bench."""
    columns = (
        ("Nodes", "short", "dms_board_nodes"),
        ("In use", "short", "dms_board_allocated"),
        ("For use", "short", "dms_board_capacity"),
        ("Out of service", "short", "dms_board_disabled"),
        ("Down", "short", "dms_board_down"),
    )
    board = dashboard("DMS / Boards", "dms-boards", "Boards on the cluster's nodes.", ("board",))
    return (
        board.with_panel(figure("Boards", f"sum(dms_board_nodes{{{_BOARD}}})", "short", "Nodes with a board label"))
        .with_panel(
            figure(
                "In use",
                f"sum(dms_board_allocated{{{_BOARD}}})",
                "short",
                "Boards that a benchmark holds",
                (None, BLUE),
            )
        )
        .with_panel(
            figure(
                "Out of service",
                f"sum(dms_board_disabled{{{_BOARD}}})",
                "short",
                "Labelled dms.edge/board-disabled",
                (None, GREEN),
                (1, ORANGE),
            )
        )
        .with_panel(
            figure(
                "Down",
                f"sum(dms_board_down{{{_BOARD}}})",
                "short",
                "In service, but the node is not ready",
                (None, GREEN),
                (1, RED),
            )
        )
        .with_panel(
            figure(
                "Waiting",
                'sum(dms_stage_active{stage="benchmark", state="Pending"}) or vector(0)',
                "short",
                "Benchmarks that wait for a board",
                (None, GREEN),
                (5, ORANGE),
            )
        )
        .with_panel(
            figure(
                "Wait, 95 %",
                _wait(0.95, hours=6),
                "s",
                "How long benchmarks waited, last six hours",
                (None, BLUE),
            )
        )
        .with_panel(
            rows(
                "Boards by type",
                "What there is, and in which state",
                tuple((heading, unit, f"max by (board) ({name}{{{_BOARD}}})") for heading, unit, name in columns),
                {"board": "Board"},
                width=12,
            )
        )
        .with_panel(
            graph(
                "Use",
                "percentunit",
                "Share of the boards for use that a benchmark holds",
                (f"dms_board_allocated{{{_BOARD}}} / (dms_board_capacity{{{_BOARD}}} > 0)", "{{board}}"),
            )
        )
        .with_panel(
            graph(
                "Wait for a board",
                "s",
                "Median and 95 % of the last hour",
                (
                    _wait(0.5, hours=1, by="board, "),
                    "{{board}} median",
                ),
                (
                    _wait(0.95, hours=1, by="board, "),
                    "{{board}} 95 %",
                ),
            )
        )
        .with_panel(
            graph(
                "Benchmarks",
                "short",
                "That ended in the last hour, by outcome",
                ('sum by (outcome) (increase(dms_stage_duration_seconds_count{stage="benchmark"}[1h]))', "{{outcome}}"),
            )
        )
    )
