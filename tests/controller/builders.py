"""Small deployments, stage answers and a simulated cluster for tests of the pure controller."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dms_operator.api import labels
from dms_operator.api.base import digest_of
from dms_operator.api.confidence import drop_high, drop_low
from dms_operator.api.errors import TERMINAL_EXIT_CODE
from dms_operator.api.stages import (
    AccuracyFacts,
    Artifact,
    BenchmarkFacts,
    CompiledFacts,
    Delegation,
    DropInterval,
    Failure,
    LabelFacts,
    LatencyFacts,
    ModelFacts,
    ModelFormat,
    QuantizeRecipe,
    Recipe,
    StageRequest,
    StageResult,
    TensorSpec,
    VariantFacts,
    recipe_digest,
)
from dms_operator.api.status import DeploymentStatus
from dms_operator.controller.observation import BoardCount, Observed, observe
from dms_operator.controller.plan import Event, Plan, plan
from dms_operator.controller.settings import Settings
from dms_operator.controller.text import timestamp

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TOOLCHAINS = ("qnn", "snpe-sdk", "tidl", "onnxruntime")
BOARDS = {"qcs8255": BoardCount(1, 1), "tda4vm": BoardCount(1, 1), "generic-x86": BoardCount(1, 1)}

SETTINGS = Settings.model_validate(
    {
        "images": {
            "resolve": "dms-resolve:1",
            "quantize": "dms-quantize:1",
            "convert": {name: f"dms-{name}:1" for name in TOOLCHAINS},
            "benchmark": {name: f"dms-{name}:1" for name in TOOLCHAINS},
        }
    }
)

COCKPIT: dict[str, Any] = {"name": "cockpit", "board": "qcs8255"}
ENTRY: dict[str, Any] = {"name": "entry", "board": "tda4vm"}


def spec(*targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A spec as users write it; top-level fields may be replaced."""
    return {
        "model": {"uri": "file:///models/driver.pt2"},
        "dataset": {"uri": "file:///data/dms.npz"},
        "targets": list(targets) or [COCKPIT],
        "artifacts": {"uri": "file:///artifacts"},
    } | changes


def deployment(wanted: dict[str, Any] | None = None, name: str = "driver") -> dict[str, Any]:
    """A raw DMSModelDeployment without status."""
    return {
        "apiVersion": labels.API_VERSION,
        "kind": labels.KIND,
        "metadata": {"name": name, "namespace": "perception", "uid": f"uid-of-{name}", "generation": 1},
        "spec": wanted or spec(),
    }


@dataclass(frozen=True)
class Script:
    """How the simulated stages answer."""

    drops: dict[str, float] = field(default_factory=dict)
    """Accuracy drop by `precision` or `precision-calibration`; 0.004 otherwise."""
    bounds: dict[str, str] = field(default_factory=dict)
    """Upper latency bound by precision; 0.43ms otherwise."""
    medians: dict[str, str] = field(default_factory=dict)
    """Median latency by precision; 0.400ms otherwise."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """Terminal failures by stage, `stage-board` or `stage-precision`."""
    benchmark: dict[str, Any] = field(default_factory=dict)
    """Fields of BenchmarkFacts to replace."""
    delegation: Delegation | None = None
    model_format: ModelFormat = "pt2"
    dataset_samples: int | None = 1256
    labels: LabelFacts | None = None

    def answer(self, recipe: Recipe) -> StageResult:
        """The answer to a recipe; the same every time."""
        digest = recipe_digest(recipe)
        failure = self._failure(recipe)
        if failure:
            return StageResult(stage=recipe.stage, recipe=digest, failure=failure)
        artifact = Artifact(digest=digest_of(["artifact", recipe.to_wire(), _precision(recipe)]), size_bytes=1000)
        _PRECISIONS[artifact.digest] = _precision(recipe)
        return StageResult(stage=recipe.stage, recipe=digest, artifact=artifact, **self._facts(recipe))

    def _failure(self, recipe: Recipe) -> Failure | None:
        keys = (recipe.stage, f"{recipe.stage}-{getattr(recipe, 'board', '')}", f"{recipe.stage}-{_precision(recipe)}")
        return next((self.failures[key] for key in keys if key in self.failures), None)

    def _facts(self, recipe: Recipe) -> dict[str, Any]:
        match recipe.stage:
            case "resolve":
                found = {"format": self.model_format, "dataset_samples": self.dataset_samples, "labels": self.labels}
                return {"model": MODEL.model_copy(update=found)}
            case "quantize":
                return {"variant": self._variant(recipe)}
            case "convert":
                return {"compiled": compiled(recipe.toolchain, self.delegation)}
            case "benchmark":
                precision = _precision(recipe)
                figure = latency(
                    bound=self.bounds.get(precision, "0.430ms"), p50=self.medians.get(precision, "0.400ms")
                )
                host = latency("host", "9.000ms", samples=128)
                return {"benchmark": benchmark(**{"latencies": [host, figure], **self.benchmark})}
            case _:
                raise AssertionError(f"no script answers {recipe.stage}")

    def _variant(self, recipe: QuantizeRecipe) -> VariantFacts:
        keys = (f"{recipe.precision}-{recipe.calibration}", recipe.precision)
        drop = next((self.drops[key] for key in keys if key in self.drops), 0.004)
        return variant(0.0 if recipe.precision == "fp32" else drop, recipe)


_PRECISIONS: dict[str, str] = {}
"""Precision of every artifact that a script gave out, so that later stages can tell."""


def _precision(recipe: Recipe) -> str:
    if isinstance(recipe, QuantizeRecipe):
        return recipe.precision
    return _PRECISIONS.get(getattr(recipe, "variant", ""), "")


MODEL = ModelFacts(
    digest=digest_of("model"),
    format="pt2",
    inputs=[TensorSpec(name="frames", shape=[1, 8, 3, 64, 64])],
    outputs=[TensorSpec(name="state", shape=[1, 6])],
    parameters=1_000_000,
    size_bytes=4_000_000,
    dataset_samples=1256,
    classes=6,
)


def accuracy(value: float = 0.98, samples: int = 1000, **changes: Any) -> AccuracyFacts:
    """A top1 score unless another metric is given."""
    facts = {"metric": "top1", "value": value, "low": value - 0.01, "high": value + 0.01, "samples": samples}
    return AccuracyFacts.model_validate(facts | changes)


def variant(drop: float = 0.004, recipe: QuantizeRecipe | None = None) -> VariantFacts:
    """An int8 variant unless the recipe says otherwise."""
    made: dict[str, str | None] = {"precision": "int8", "method": "static", "calibration": "minmax"}
    if recipe:
        made = {"precision": recipe.precision, "method": recipe.method, "calibration": recipe.calibration}
    score = {"accuracy": accuracy(0.98 - drop), "accuracyDrop": drop, "dropInterval": interval(round(drop * 1000))}
    return VariantFacts.model_validate(made | score | {"scheme": "w8a8", "sizeBytes": 900_000})


def interval(lost: int, gained: int = 0, samples: int = 1000) -> DropInterval:
    """What a drop of top1 may be in truth; a negative loss is a gain."""
    lost, gained = max(lost, 0), gained + max(-lost, 0)
    low, high = drop_low(lost, gained, samples), drop_high(lost, gained, samples)
    return DropInterval(low=low, high=high, lost=lost, gained=gained)


def compiled(toolchain: str = "qnn", delegation: Delegation | None = None) -> CompiledFacts:
    """A context binary whose nodes all run on the NPU, unless told otherwise."""
    return CompiledFacts.model_validate(
        {
            "toolchain": toolchain,
            "toolVersion": "2.51",
            "soc": "SA8255",
            "architecture": "v73",
            "delegation": delegation or Delegation(npu=30, total=30),
            "sizeBytes": 700_000,
        }
    )


def latency(provenance: str = "simulated", bound: str | None = "0.430ms", **changes: Any) -> LatencyFacts:
    """A figure of the vendor's cost model unless told otherwise."""
    facts = {"provenance": provenance, "p50": "0.400ms", "bound": bound, "source": "QNN cost model"}
    return LatencyFacts.model_validate(facts | changes)


def benchmark(bound: str | None = "0.430ms", **changes: Any) -> BenchmarkFacts:
    """A simulated latency, a host latency, and accuracy on 16 samples."""
    facts: dict[str, Any] = {
        "latencies": [latency("host", "9.000ms", samples=128), latency(bound=bound)],
        "throughput": 2500.0,
        "accuracyOnTarget": accuracy(1.0, 16),
        "accuracyOnTargetDrop": 0.0,
        "accuracyProvenance": "simulated",
        "node": "board-1",
    }
    return BenchmarkFacts.model_validate(facts | changes)


def failure(reason: str = "ToolchainUnavailable", message: str = "TIDL tools are not installed") -> Failure:
    """A terminal failure."""
    return Failure(reason=reason, message=message, retryable=False)


@dataclass
class World:
    """A cluster as the planner sees it: one deployment, its Jobs and pods, and a clock."""

    body: dict[str, Any]
    script: Script = field(default_factory=Script)
    settings: Settings = SETTINGS
    boards: dict[str, BoardCount] = field(default_factory=lambda: dict(BOARDS))
    now: datetime = START
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    status_writes: int = 0
    ran: list[str] = field(default_factory=list)
    """Recipe digests in the order in which pods finished them."""
    created: list[str] = field(default_factory=list)
    """Recipe digests in the order in which Jobs were made for them."""

    def observed(self) -> Observed:
        """The world through the operator's own converters."""
        pairs = [(job, self.pods.get(name, [])) for name, job in self.jobs.items()]
        return observe(self.body, pairs, self.boards)

    def plan(self) -> Plan:
        """What the planner would do now."""
        return plan(self.observed(), self.settings, self.now)

    def reconcile(self) -> Plan:
        """Plan, and carry it out."""
        wanted = self.plan()
        for name in wanted.delete:
            self.delete(name)
        for manifest in wanted.create:
            self.create(manifest)
        self.write(wanted)
        return wanted

    def write(self, wanted: Plan) -> None:
        """Write the status if it differs, through JSON as an API server would."""
        status = json.loads(json.dumps(wanted.status.to_wire(), allow_nan=False))
        DeploymentStatus.model_validate(status)
        if status != self.body.get("status"):
            self.body["status"] = status
            self.status_writes += 1
            self.events += wanted.events

    def delete(self, name: str) -> None:
        """Delete a Job with its pods at once."""
        self.jobs.pop(name, None)
        self.pods.pop(name, None)

    def create(self, manifest: dict[str, Any]) -> None:
        """Create a Job; one of that name that is there already is success."""
        name = manifest["metadata"]["name"]
        if name not in self.jobs:
            self.jobs[name] = json.loads(json.dumps(manifest)) | {"status": {}}
            self.jobs[name]["metadata"]["creationTimestamp"] = timestamp(self.now)
            self.pods[name] = []
            self.created.append(self.jobs[name]["metadata"]["annotations"][labels.RECIPE_DIGEST])

    def start(self, name: str) -> None:
        """Start a pod of a Job."""
        job, pods = self.jobs[name], self.pods[name]
        job["status"].setdefault("startTime", timestamp(self.now))
        pods.append(_pod(f"{name}-{len(pods)}", timestamp(self.now), {"phase": "Running"}))

    def finish(self, name: str) -> None:
        """Let the Job's pod answer as the script says, and the Job end."""
        if not self._active(name):
            self.start(name)
        request = self.request(name)
        self.ran.append(recipe_digest(request.recipe))
        result = self.script.answer(request.recipe)
        failed = result.failure is not None
        self._end(name, TERMINAL_EXIT_CODE if failed else 0, json.dumps(result.to_wire()))
        self.conclude(name, "Failed" if failed else "Complete", "PodFailurePolicy" if failed else "")

    def stumble(self, name: str, message: str = "") -> None:
        """Let the Job's pod fail as infrastructure does; the Job itself goes on."""
        if not self._active(name):
            self.start(name)
        self._end(name, 1, message)
        self.jobs[name]["status"]["failed"] = self.jobs[name]["status"].get("failed", 0) + 1

    def conclude(self, name: str, kind: str, reason: str = "", message: str = "") -> None:
        """Give the Job its last condition."""
        end = {"type": kind, "status": "True", "reason": reason, "message": message}
        end["lastTransitionTime"] = timestamp(self.now)
        self.jobs[name]["status"]["conditions"] = [end]
        if kind == "Complete":
            self.jobs[name]["status"]["completionTime"] = timestamp(self.now)

    def request(self, name: str) -> StageRequest:
        """What the Job's pod is asked."""
        environment = self.jobs[name]["spec"]["template"]["spec"]["containers"][0]["env"]
        return StageRequest.model_validate_json(environment[0]["value"])

    def unfinished(self) -> list[str]:
        """Jobs that have not ended."""
        return [name for name, job in self.jobs.items() if not job["status"].get("conditions")]

    def run(self, limit: int = 200) -> "World":
        """Reconcile and finish Jobs, one at a time, until nothing moves any more."""
        for _ in range(limit):
            writes, wanted = self.status_writes, self.reconcile()
            names = self.unfinished()
            if names:
                self.finish(names[0])
            elif not (wanted.delete or wanted.requeue_after or self.status_writes > writes):
                return self
            self.tick()
        raise AssertionError(f"no end after {limit} steps: {self.body.get('status')}")

    def tick(self, seconds: float = 1) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def edit(self, **changes: Any) -> None:
        """Change the spec, as kubectl apply would."""
        self.body["spec"] = self.body["spec"] | changes
        self.body["metadata"]["generation"] += 1

    def annotate(self, key: str, value: str) -> None:
        """Set an annotation."""
        self.body["metadata"].setdefault("annotations", {})[key] = value

    @property
    def status(self) -> dict[str, Any]:
        """The written status."""
        written: dict[str, Any] = self.body.get("status", {})
        return written

    @property
    def conditions(self) -> dict[str, dict[str, Any]]:
        """The conditions of the written status by type."""
        return {each["type"]: each for each in self.status.get("conditions", [])}

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition that the written status has."""
        return self.conditions[kind]

    def stages(self) -> list[str]:
        """Names of the stages in status, each with its state."""
        return [f"{each['name']}: {each['state']}" for each in self.status["stages"]]

    def _active(self, name: str) -> bool:
        return any(pod["status"]["phase"] in ("Pending", "Running") for pod in self.pods[name])

    def _end(self, name: str, code: int, message: str) -> None:
        terminated = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}
        self.pods[name][-1]["status"] = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "stage", "state": {"terminated": terminated}}],
        }


def _pod(name: str, created: str, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"containers": [{"name": "stage", "image": "dms:1"}]},
        "status": status,
    }


def world(*targets: dict[str, Any], script: Script | None = None, **changes: Any) -> World:
    """A world with one new deployment."""
    return World(deployment(spec(*targets, **changes)), script or Script())


def changed(settings: Settings = SETTINGS, /, **changes: Any) -> Settings:
    """Settings with some fields replaced."""
    return Settings.model_validate(settings.to_wire() | changes)
