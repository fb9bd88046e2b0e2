"""One row per model, platform and precision: what was found there, or why nothing was."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dms_operator.api.capabilities import PRECISIONS, BoardType, Precision, is_baseline
from dms_operator.api.quantities import Duration, Power
from dms_operator.api.spec import DeploymentSpec
from dms_operator.api.stages import BenchmarkFacts, LatencyFacts, Method, Provenance
from dms_operator.api.status import CandidateStatus, GateStatus, TargetStatus, VariantStatus
from dms_operator.controller.gates import counted_latency, first_miss, judged_latency, latency_gate, power_gate

from ..objects import Deployment

Key = tuple[str, BoardType]
"""Digest of the model's bytes, board type: toolchains of one board are compared with each other."""


@dataclass(frozen=True)
class Row:
    """One precision on one platform. Without candidate it is the float baseline, or nothing was tried."""

    deployment: str
    model: str
    """Digest of the model's own bytes; empty until it is resolved."""
    format: str
    spec: DeploymentSpec
    target: TargetStatus
    precision: Precision
    variant: VariantStatus | None = None
    candidate: CandidateStatus | None = None
    reference: LatencyFacts | None = None
    """The fp32 model on the CPU that ran the benchmark of another row."""
    why: str = ""
    """Why there is no latency."""

    @property
    def key(self) -> Key:
        """What rows of one group have in common."""
        return self.model, self.target.board

    @property
    def benchmark(self) -> BenchmarkFacts | None:
        """What benchmark found; None for the baseline and for what never got that far."""
        return self.candidate.benchmark if self.candidate else None

    @property
    def latency(self) -> LatencyFacts | None:
        """The strongest figure that says something about the platform; the baseline's is the host's."""
        if self.benchmark:
            return counted_latency(self.benchmark, self.target.toolchain)
        return self.reference

    def latency_by(self, provenance: Provenance) -> LatencyFacts | None:
        """The figure of one provenance."""
        figures = self.benchmark.latencies if self.benchmark else [self.reference] if self.reference else []
        return next((each for each in figures if each.provenance == provenance), None)

    @property
    def method(self) -> Method | None:
        """How its variant was made."""
        return self.variant.method if self.variant else None

    @property
    def compiled_bytes(self) -> int:
        """Size of the file that the board loads; 0 where nothing was compiled."""
        return self.candidate.compiled.size_bytes if self.candidate and self.candidate.compiled else 0

    @property
    def judged(self) -> LatencyFacts | None:
        """What the budget is about: camera to decision where the spec asks for it."""
        if self.benchmark:
            return judged_latency(self.benchmark, self.target.toolchain, self.spec.benchmark)
        return self.reference

    @property
    def gates(self) -> list[GateStatus]:
        """All gates that were held against it."""
        return self.candidate.gates if self.candidate else []

    @property
    def passes(self) -> bool:
        """Whether it was benchmarked and passed every gate."""
        return self.benchmark is not None and first_miss(self.gates) is None

    @property
    def miss(self) -> GateStatus | None:
        """The first gate that it did not pass."""
        return first_miss(self.gates)

    def gate(self, name: str) -> GateStatus | None:
        """A gate by name."""
        return next((each for each in self.gates if each.name == name), None)


@dataclass(frozen=True)
class Group:
    """One model on one platform, its rows from wide to narrow precision."""

    key: Key
    rows: list[Row]

    @property
    def board(self) -> BoardType:
        """Board type."""
        return self.key[1]

    def row(self, precision: Precision) -> Row | None:
        """The row of a precision."""
        return next((each for each in self.rows if each.precision == precision), None)


def groups(deployments: Iterable[Deployment]) -> list[Group]:
    """Rows by model and platform, in the order given; of several rows of one precision the best counts."""
    best: dict[Key, dict[Precision, Row]] = {}
    for row in (row for deployment in deployments for row in _rows(deployment)):
        group = best.setdefault(row.key, {})
        known = group.get(row.precision)
        if known is None or _rank(row) < _rank(known):
            group[row.precision] = row
    return [
        Group(key, [rows[precision] for precision in PRECISIONS if precision in rows]) for key, rows in best.items()
    ]


def tried(deployments: Iterable[Deployment], key: Key, method: Literal["static", "qat"]) -> list[Row]:
    """All INT8 variants of a group's model and platform that were made by a method, with their gates."""
    found = (row for deployment in deployments for row in _candidates(deployment))
    return [row for row in found if row.key == key and row.precision == "int8" and row.method == method]


def _rank(row: Row) -> tuple[bool, bool, bool, bool, float, float]:
    """Smaller is better: passed, benchmarked, compiled, made; then faster, then more accurate."""
    figure = row.judged and (row.judged.bound or row.judged.p50)
    return (
        not row.passes,
        row.benchmark is None,
        row.candidate is None or row.candidate.compiled is None,
        row.variant is None,
        figure.value if figure else float("inf"),
        row.variant.accuracy_drop if row.variant else float("inf"),
    )


def _rows(deployment: Deployment) -> Iterator[Row]:
    candidates = list(_candidates(deployment))
    yield from candidates
    for target in deployment.status.targets:
        mine = [row for row in candidates if row.target is target]
        made = {row.precision for row in mine}
        yield _baseline(deployment, target, [*sorted(mine, key=_rank), *sorted(candidates, key=_rank)])
        asked = next((each for each in deployment.spec.targets if each.name == target.name), None)
        for precision in deployment.spec.precisions_of(asked) if asked else ():
            if precision not in made and not is_baseline(target.toolchain, precision):
                yield _row(deployment, target, precision, why=_untried(target))


def _candidates(deployment: Deployment) -> Iterator[Row]:
    variants = {each.name: each for each in deployment.status.variants}
    for target in deployment.status.targets:
        for candidate in target.candidates:
            variant = variants.get(candidate.variant)
            if variant:
                why = "" if candidate.benchmark else _rejected(target, candidate)
                yield _row(deployment, target, variant.precision, variant=variant, candidate=candidate, why=why)


def _row(deployment: Deployment, target: TargetStatus, precision: Precision, **more: object) -> Row:
    model = deployment.status.model
    return Row(
        deployment=deployment.name,
        model=model.digest if model else "",
        format=model.format if model else "",
        spec=deployment.spec,
        target=target,
        precision=precision,
        **more,  # type: ignore[arg-type]
    )


def _baseline(deployment: Deployment, target: TargetStatus, candidates: list[Row]) -> Row:
    """The float model, timed on the host beside the first candidate that got that far, this target's before others'."""
    variant = next((each for each in deployment.status.variants if each.precision == "fp32"), None)
    timed = (row.benchmark.reference for row in candidates if row.benchmark)
    reference = next((each for each in timed if each), None)
    why = "" if reference else "nothing got as far as a benchmark, beside which fp32 is timed"
    return _row(deployment, target, "fp32", variant=variant, reference=reference, why=why)


def _untried(target: TargetStatus) -> str:
    if target.state == "Ready":
        return f"not tried: {target.precision} passed all gates before; ask for it in a target of its own"
    return target.message or "not tried yet"


def _rejected(target: TargetStatus, candidate: CandidateStatus) -> str:
    miss = first_miss(candidate.gates)
    return miss.message if miss else target.message or "not benchmarked yet"


def with_budget(deployment: Deployment, latency: Duration | None, power: Power | None) -> Deployment:
    """The same deployment with its latency and power gates held against other budgets; None keeps the spec's."""
    given = {"latency_budget": latency, "power_budget": power}
    wanted = deployment.spec.benchmark.model_copy(update={name: value for name, value in given.items() if value})
    spec = deployment.spec.model_copy(update={"benchmark": wanted})
    targets = [
        target.model_copy(update={"candidates": [_judged(each, target, spec) for each in target.candidates]})
        for target in deployment.status.targets
    ]
    return Deployment(deployment.metadata, spec, deployment.status.model_copy(update={"targets": targets}))


def _judged(candidate: CandidateStatus, target: TargetStatus, spec: DeploymentSpec) -> CandidateStatus:
    if candidate.benchmark is None:
        return candidate
    kept = [gate for gate in candidate.gates if gate.name not in ("latency", "power")]
    again = [latency_gate(candidate.benchmark, target.toolchain, spec.benchmark)]
    if spec.benchmark.power_budget:
        again.append(power_gate(candidate.benchmark, spec.benchmark.power_budget))
    return candidate.model_copy(update={"gates": [*kept, *again]})
