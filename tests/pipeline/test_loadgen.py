"""Our bound beside that of MLPerf's LoadGen itself; `make bench-loadgen` compares the timing."""

import re
from pathlib import Path

import pytest

from dms_operator.api.confidence import discardable

pytest.importorskip("mlperf_loadgen")
import mlperf_loadgen as lg


def summary(queries: int, percent: float, directory: Path) -> str:
    """What LoadGen writes about a single stream of queries that do nothing."""

    def issue(samples: list[lg.QuerySample]) -> None:
        lg.QuerySamplesComplete([lg.QuerySampleResponse(samples[0].id, 0, 0)])

    settings, logs = lg.TestSettings(), lg.LogSettings()
    settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms, settings.single_stream_target_latency_percentile = 0, percent / 100
    logs.log_output = lg.LogOutputSettings()
    logs.log_output.outdir, logs.enable_trace = str(directory), False
    system, library = lg.ConstructSUT(issue, lambda: None), lg.ConstructQSL(1, 1, lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(system, library, settings, logs, "")
    lg.DestroyQSL(library)
    lg.DestroySUT(system)
    return (directory / "mlperf_log_summary.txt").read_text()


@pytest.mark.parametrize("percent", [90, 99])
@pytest.mark.parametrize("queries", [63, 64, 661, 662, 1000, 5000])
def test_our_bound_leaves_out_as_many_queries_as_loadgen_does(percent: float, queries: int, tmp_path: Path) -> None:
    found = re.search(r"Would discard (\d+) highest latency queries", summary(queries, percent, tmp_path))
    assert discardable(queries, percent) == (int(found[1]) if found else None)
