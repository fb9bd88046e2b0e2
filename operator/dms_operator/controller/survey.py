"""Walk through the pipeline as far as the facts reach: which stages are needed, and how each target stands."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..api.capabilities import Precision, is_baseline
from ..api.errors import InvalidSpec, ToolchainUnavailable
from ..api.spec import DeploymentSpec, TargetSpec
from ..api.stages import Failure, Recipe, StageResult
from ..api.status import GateStatus
from . import gates, recipes
from .ladder import Candidate, lacks_samples, worth_trying
from .prospects import hopeless
from .proven import History
from .rungs import CHEAPEST_FIRST, QUANTIZED, REFERENCE, Rung, rungs
from .settings import Settings
from .steps import Fact, Step, Steps


@dataclass(frozen=True)
class TargetSurvey:
    """A target and the candidates that were tried for it, the last one being the present one."""

    spec: TargetSpec
    candidates: list[Candidate] = field(default_factory=list)
    blocker: Failure | None = None
    """Why nothing can be tried for this target."""
    ahead: list[Candidate] = field(default_factory=list)
    """What an earlier try made beyond the present candidate: kept for when this one fails again."""
    trainable: bool = True
    """Whether the model is a PyTorch program, which quantization-aware training needs."""

    @property
    def selected(self) -> Candidate | None:
        """The first candidate that passed all gates."""
        return next((each for each in self.candidates if each.verdict == "Passed"), None)

    @property
    def working(self) -> bool:
        """Whether something is still to come."""
        if self.blocker:
            return False
        return not self.candidates or self.candidates[-1].verdict == "Working"


@dataclass(frozen=True)
class Survey:
    """The whole deployment."""

    steps: dict[str, Step]
    """Wanted stages by recipe digest, in order; finished ones included."""
    recalled: set[str]
    """Digests of recipes further ahead whose success is kept."""
    model: Fact
    reference: Fact
    targets: list[TargetSurvey]


def survey(
    spec: DeploymentSpec,
    settings: Settings,
    know: Callable[[str], Fact],
    history: History | None = None,
    known: Collection[str] = (),
) -> Survey:
    """Walk as far as `know` (recipe digest to fact) allows; `history` has the figures of earlier revisions.

    `known` are the recipes of which `know` may know something: those that the walk does not come to are looked for
    further ahead.
    """
    steps = Steps(know)
    model = steps.ask("resolve", recipes.resolve_recipe(spec, settings))
    blockers = {target.name: _blocker(spec, settings, target, model) for target in spec.targets}
    reference: Fact = None
    if isinstance(model, StageResult) and not all(blockers.values()):
        recipe = recipes.quantize_recipe(spec, settings, REFERENCE, "onnxruntime", _digest(model), None)
        reference = steps.ask("quantize fp32", recipe)
    walk = _Walk(spec, settings, steps, steps.ask, model, reference, blockers, history)
    targets = [walk.target(target) for target in spec.targets]
    if not steps.by_digest.keys() >= set(known):
        targets = [walk.look_ahead(each) for each in targets]
    return Survey(steps.by_digest, steps.recalled, model, reference, targets)


@dataclass(frozen=True)
class _Walk:
    spec: DeploymentSpec
    settings: Settings
    steps: Steps
    ask: Callable[[str, Recipe, TargetSpec | None], Fact]
    model: Fact
    reference: Fact
    blockers: Mapping[str, Failure | None]
    """Why nothing can be tried, by target."""
    history: History | None
    recalls: bool = False
    """Whether only what succeeded before is asked for, however far up."""

    def target(self, target: TargetSpec) -> TargetSurvey:
        """Try the target's rungs until one passes, one is not finished, or one shows that no other will."""
        for fact in (self.model, self.blockers[target.name], self.reference):
            if isinstance(fact, Failure):
                return TargetSurvey(target, blocker=fact)
        if self.reference is None:
            return TargetSurvey(target)
        return TargetSurvey(target, list(self._climb(target)), trainable=self._trainable)

    def look_ahead(self, found: TargetSurvey) -> TargetSurvey:
        """Add what an earlier try made beyond a candidate that is tried again."""
        if not (found.candidates and found.working):
            return found
        again = replace(self, ask=self.steps.recall, recalls=True)
        tried = {candidate.name for candidate in found.candidates}
        ahead = [each for each in again._climb(found.spec) if each.quantized and each.name not in tried]
        return replace(found, ahead=ahead)

    def _climb(self, target: TargetSpec) -> Iterator[Candidate]:
        unproven = False
        for precision in deployable(self.spec, target):
            if unproven and precision in QUANTIZED:
                continue  # lossier, or no less lossy: what lacked samples for a proof lacks them still
            tried: list[Candidate] = []
            for rung in rungs(precision, self.spec.quantization, target.effective_toolchain(), self._trainable):
                if not worth_trying(rung, tried):
                    continue
                candidate = self._try(target, rung)
                tried.append(candidate)
                yield candidate
                if candidate.verdict in ("Passed", "Stopped") or (candidate.verdict == "Working" and not self.recalls):
                    return
                if candidate.verdict in ("NextPrecision", "Unprovable"):
                    break
            unproven = unproven or lacks_samples(tried)

    @property
    def _trainable(self) -> bool:
        model = self.model.model if isinstance(self.model, StageResult) else None
        return model is not None and model.format == "pt2"

    def _try(self, target: TargetSpec, rung: Rung) -> Candidate:
        name = rung.name(target.effective_toolchain())
        quantized = self._quantize(target, rung, name)
        if not isinstance(quantized, StageResult):
            return Candidate(name, rung, "quantize", failure=quantized)
        assert quantized.variant is not None
        limit = self.spec.quantization.max_accuracy_drop
        passed = [gates.accuracy_gate(quantized.variant, limit)]
        if gates.first_miss(passed):
            doubt = gates.accuracy_doubt(quantized.variant, limit)
            return Candidate(name, rung, "quantize", quantized, gates=passed, doubt=doubt)
        return self._compile(target, rung, name, quantized, passed)

    def _compile(
        self, target: TargetSpec, rung: Rung, name: str, quantized: StageResult, passed: list[GateStatus]
    ) -> Candidate:
        converted = self._convert(target, name, quantized)
        if not isinstance(converted, StageResult):
            return Candidate(name, rung, "convert", quantized, gates=passed, failure=converted)
        assert converted.compiled is not None
        passed = [*passed, gates.delegation_gate(converted.compiled, target.options)]
        if gates.first_miss(passed):
            return Candidate(name, rung, "convert", quantized, converted, gates=passed)
        measured = self._benchmark(target, name, quantized, converted)
        if not isinstance(measured, StageResult):
            return Candidate(name, rung, "benchmark", quantized, converted, gates=passed, failure=measured)
        passed = [*passed, *self._judge(target, measured)]
        if not gates.first_miss(passed):
            passed += self._compare(target, quantized, converted, measured)
        facts, limit = measured.benchmark, self.spec.quantization.max_accuracy_drop
        doubt = gates.target_accuracy_doubt(facts, limit) if facts else None
        return Candidate(name, rung, "benchmark", quantized, converted, measured, passed, doubt=doubt)

    def _judge(self, target: TargetSpec, measured: StageResult) -> Iterator[GateStatus]:
        facts, wanted, toolchain = measured.benchmark, self.spec.benchmark, target.effective_toolchain()
        if target.min_provenance is not None:
            wanted = wanted.model_copy(update={"min_provenance": target.min_provenance})
        assert facts is not None
        yield gates.provenance_gate(facts, toolchain, wanted)
        yield gates.target_accuracy_gate(facts, self.spec.quantization.max_accuracy_drop)
        yield gates.latency_gate(facts, toolchain, wanted)
        if wanted.power_budget is not None:
            yield gates.power_gate(facts, wanted.power_budget)
        if wanted.memory_budget is not None:
            yield gates.memory_gate(facts, wanted.memory_budget)

    def _compare(
        self, target: TargetSpec, quantized: StageResult, converted: StageResult, measured: StageResult
    ) -> Iterator[GateStatus]:
        """With the stable revision; only what meets the budgets is worth it."""
        assert quantized.variant is not None and measured.benchmark is not None
        before = self.history.baseline(target, _digest(converted)) if self.history else None
        return gates.regression_gates(
            quantized.variant,
            measured.benchmark,
            target.effective_toolchain(),
            before,
            self.spec.benchmark.regression,
        )

    def _quantize(self, target: TargetSpec, rung: Rung, name: str) -> Fact:
        assert isinstance(self.model, StageResult) and isinstance(self.reference, StageResult)
        if rung == REFERENCE:
            return self.reference
        toolchain = target.effective_toolchain()
        recipe = recipes.quantize_recipe(
            self.spec, self.settings, rung, toolchain, _digest(self.model), _digest(self.reference)
        )
        return self.ask(f"quantize {name}", recipe, None)

    def _convert(self, target: TargetSpec, name: str, quantized: StageResult) -> Fact:
        image = self.settings.images.of("convert", target.effective_toolchain())
        assert image is not None
        recipe = recipes.convert_recipe(target, image, _digest(quantized))
        return self.ask(f"convert {target.name} {name}", recipe, target)

    def _benchmark(self, target: TargetSpec, name: str, quantized: StageResult, converted: StageResult) -> Fact:
        assert isinstance(self.model, StageResult)
        image = self.settings.images.of("benchmark", target.effective_toolchain())
        assert image is not None
        recipe = recipes.benchmark_recipe(
            self.spec, target, image, _digest(self.model), _digest(quantized), _digest(converted)
        )
        return self.ask(f"benchmark {target.name} {name}", recipe, target)


def deployable(spec: DeploymentSpec, target: TargetSpec) -> list[Precision]:
    """The target's precisions that its toolchain can deploy, cheapest latency first."""
    toolchain, asked = target.effective_toolchain(), spec.precisions_of(target)
    return [each for each in CHEAPEST_FIRST if each in asked and not is_baseline(toolchain, each)]


def _blocker(spec: DeploymentSpec, settings: Settings, target: TargetSpec, model: Fact) -> Failure | None:
    """Why nothing can be tried for a target, as far as is known before any variant is made."""
    precisions = deployable(spec, target)
    if not precisions:
        message = f"fp32 is only the host baseline of {target.board}: add int8 to the target's precisions"
        return Failure(reason=InvalidSpec.reason, message=message, retryable=False)
    facts = model.model if isinstance(model, StageResult) else None
    return _without_image(settings, target) or (hopeless(spec, precisions, facts) if facts else None)


def _without_image(settings: Settings, target: TargetSpec) -> Failure | None:
    toolchain = target.effective_toolchain()
    for stage in ("convert", "benchmark"):
        if not settings.images.of(stage, toolchain):
            message = f"The operator has no {stage} image for {toolchain}: set images.{stage}.{toolchain}"
            return Failure(reason=ToolchainUnavailable.reason, message=message, retryable=False)
    return None


def _digest(result: StageResult) -> str:
    assert result.artifact is not None
    return result.artifact.digest
