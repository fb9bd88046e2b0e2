"""Replays everything that was recorded with a real cluster and sums it up.

`PYTHONPATH=operator:tests python -m devcluster.oracle_summary` prints the summary as docs/devcluster.md shows it;
it ends with 1 when an exchange is not answered as recorded.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import test_oracle_jobs, test_oracle_replay
from devcluster.replay import ORACLE, load

_JOBS = {  # the tests of test_oracle_jobs.py, each of which goes through several exchanges
    "test_jobs_and_pods_end_and_wait_as_on_a_real_node": "11-jobs-and-pods",
    "test_a_watcher_sees_every_state_in_the_recorded_order": "12-job-and-pod-life",
    "test_pod_security_warns_of_templates_and_refuses_pods": "13-pod-security",
}


class Counted:
    """A pytest plugin that counts exchanges whose test passed, by recording."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        test, _, parameters = report.nodeid.rpartition("::")[2].partition("[")
        if test in _JOBS:
            name = _JOBS[test]
            self.passed[name] += 1 if parameters else len(load(name))
        else:
            self.passed.update(name for name in test_oracle_replay.FILES if parameters.startswith(name))


def replay() -> Counter[str]:
    """Exchanges that passed, by recording."""
    counted = Counted()
    files = [str(Path(str(module.__file__))) for module in (test_oracle_replay, test_oracle_jobs)]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-q", "-p", "no:cacheprovider", *files], plugins=[counted])
    return counted.passed


def _note(name: str, index: int) -> str:
    return str(load(name)[index]["note"])


def exceptions() -> Iterator[str]:
    """What is not compared in single exchanges, with the reason."""
    for (name, index), (fields, reason) in test_oracle_replay.EXCEPTIONS.items():
        yield f"{name} {index} ({_note(name, index)}): `{fields.replace(' ', '`, `')}`: {reason}"
    names = {path.stem.partition("-")[0]: path.stem for path in ORACLE.glob("*.json")}
    for (number, index), (_, reason) in test_oracle_jobs.PARTLY.items():
        yield f"{names[number]} {index} ({_note(names[number], index)}): compared in part: {reason}"


def general() -> Iterator[str]:
    """What is not compared anywhere, beyond what the recordings' README leaves out."""
    yield "discovery (01): only what the dev cluster serves; it serves fewer kinds"
    yield test_oracle_jobs.POD_RESOURCES
    for name, reason in {**test_oracle_jobs.NOT_COMPARED, **test_oracle_jobs.NO_EVENTS}.items():
        if not reason.startswith("README"):
            yield f"`{name}`: {reason}"
    for theirs, ours in test_oracle_jobs.SAID_DIFFERENTLY.items():
        yield f"the command `{theirs}` is said as `{ours}`, for there is no mount namespace"


def main() -> int:
    """Print the summary; return the exit code."""
    passed = replay()
    names = sorted(path.stem for path in ORACLE.glob("*.json"))
    exchanges = {name: len(load(name)) for name in names}
    single = list(exceptions())
    print("| recording | exchanges | passed |\n|---|---|---|")
    for name in names:
        print(f"| {name} | {exchanges[name]} | {passed[name]} |")
    total = sum(exchanges.values())
    print(f"\noracle replay: {total} exchanges, {passed.total()} passed, {len(single)} with exceptions\n")
    print("Exceptions:\n", *(f"- {line}" for line in single), sep="\n")
    print("\nNot compared anywhere:\n", *(f"- {line}" for line in general()), sep="\n")
    return int(passed.total() != total)


if __name__ == "__main__":
    sys.exit(main())
