"""The stage contract: what a stage pod is asked, and what it answers.

A pod gets a `StageRequest` as JSON in the environment variable DMS_REQUEST and answers with a `StageResult`
of at most 4 KiB as JSON in its termination message. Exit code 0: success; 10: terminal error, no retry helps;
anything else: infrastructure, the Job retries. The digest of a recipe is the cache key of its result.
"""

from typing import Annotated, Literal

from pydantic import Field

from .base import Digest, Model, Observed, digest_of
from .capabilities import BoardType, Precision, ToolchainName
from .end_to_end import EndToEnd
from .quantities import Duration, Energy, Memory, Power
from .quantization import QatRecipe, StaticRecipe
from .vehicle import ActivateRecipe, DeactivateRecipe, PrefetchRecipe, VehicleFacts

REQUEST_VARIABLE = "DMS_REQUEST"
TIME_LIMIT_VARIABLE = "DMS_TIME_LIMIT"
"""Seconds after which the pod is ended (its activeDeadlineSeconds), so that long work can save itself before."""
RESULT_LIMIT_BYTES = 4096
"""Kubernetes' limit for one container's termination message."""

StageName = Literal["resolve", "quantize", "convert", "benchmark", "remove", "prefetch", "activate", "deactivate"]
Provenance = Literal["measured", "simulated", "estimated", "host"]
ModelFormat = Literal["pt2", "torchscript", "onnx"]
Method = Literal["none", "cast", "dynamic", "static", "qat"]
Calibration = Literal["minmax", "entropy", "percentile", "mse"]
Metric = Literal["top1", "macroF1", "mae", "cosine"]
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"mae"})
"""Metrics that count errors."""
ProfileName = Literal["rapid", "quick", "normal", "official"]

PROVENANCE_ORDER: tuple[Provenance, ...] = ("host", "estimated", "simulated", "measured")
"""From weakest to strongest evidence for the target's latency."""


class TensorSpec(Model):
    """One model input or output; a dimension is a positive integer."""

    name: str = Field(max_length=128, min_length=1)
    """Name of the tensor; a dataset holds one array of this name per input."""
    shape: list[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(max_length=8)
    """Static shape with the batch axis first, such as [1, 8, 3, 64, 64]."""
    dtype: Literal["float32", "float16", "int64", "int32", "int8", "uint8", "bool"] = "float32"
    """Element type."""


class ResolveRecipe(Model):
    """Fetch model and dataset, check them, and export the model to float ONNX.

    Writes the artifact files `source` (the model's own bytes), `model.onnx` (float, static shapes) and,
    when there is a dataset, `dataset.npz`.
    """

    stage: Literal["resolve"] = "resolve"
    image: str
    model_uri: str
    model_sha256: str | None = None
    model_format: Literal["auto", "pt2", "torchscript", "onnx"] = "auto"
    inputs: list[TensorSpec] | None = None
    dataset_uri: str | None = None
    labels_required: bool = True
    """False for a label-free metric (cosine)."""


class QuantizeRecipe(Model):
    """Make one variant from a resolved model and score it on the evaluation samples.

    Writes `model.onnx` (float for fp32 and fp16, QDQ for int8 and int4) and, for fp32, `reference.npz`
    (the reference outputs on the evaluation samples).
    """

    stage: Literal["quantize"] = "quantize"
    image: str
    resolved: Digest
    reference: Digest | None = None
    """The fp32 variant's artifact, against whose accuracy and outputs the drop is counted; None for fp32."""
    precision: Precision
    method: Method
    calibration: Calibration | None = None
    toolchain: ToolchainName
    """Decides the quantization scheme (weight symmetry, per-channel, activation width, excluded operators)."""
    metric: Metric = "top1"
    calibration_samples: int = 256
    evaluation_samples: int = 1000
    seed: int = 0
    qat: QatRecipe | None = None
    """Only with the method qat, whose defaults None stands for."""
    static: StaticRecipe | None = None
    """Only with the method static, whose defaults None stands for."""


class ConvertRecipe(Model):
    """Compile a variant for a board.

    Writes the toolchain's files (qnn: `model_ctx.onnx`, `model_ctx_qnn.bin`, `model.dlc`, `profile.csv`) and
    `manifest.json` (tool version, SoC, architecture, options, digests).
    """

    stage: Literal["convert"] = "convert"
    image: str
    variant: Digest
    board: BoardType
    toolchain: ToolchainName
    options: dict[str, str] = Field(default_factory=dict)


class BenchmarkRecipe(Model):
    """Run a compiled artifact: latency, and accuracy on target. Writes `report.json`, and `golden.npz` for vehicles."""

    stage: Literal["benchmark"] = "benchmark"
    image: str
    resolved: Digest
    variant: Digest
    compiled: Digest
    board: BoardType
    toolchain: ToolchainName
    profile: ProfileName = "quick"
    warmup: int = 10
    percentile: float = 99.0
    metric: Metric = "top1"
    simulation_samples: int = 16
    """Evaluation samples that the functional simulator runs (seconds each)."""
    end_to_end: EndToEnd | None = None
    """Time camera to decision as well."""


class RemoveRecipe(Model):
    """Delete artifacts and records of recipes from the store, for a deployment that is being deleted."""

    stage: Literal["remove"] = "remove"
    image: str
    artifacts: list[Digest] = Field(default=[], max_length=640)
    """Artifacts that no other deployment uses. Bound: what a status of bounded lists can name."""
    recipes: list[Digest] = Field(default=[], max_length=640)
    """Recipes whose recorded results no other deployment uses."""


VehicleRecipe = PrefetchRecipe | ActivateRecipe | DeactivateRecipe
AnyRecipe = ResolveRecipe | QuantizeRecipe | ConvertRecipe | BenchmarkRecipe | RemoveRecipe | VehicleRecipe
Recipe = Annotated[AnyRecipe, Field(discriminator="stage")]


class StageRequest(Model):
    """Everything a stage pod is told. `recipe` alone decides the output."""

    api_version: Literal["dms.edge/stage.v1"] = "dms.edge/stage.v1"
    deployment: str
    """`<namespace>/<name>`, for logs."""
    target: str | None = None
    store: str
    """URI of the artifact store."""
    recipe: Recipe


class Artifact(Observed):
    """A set of named immutable files; `digest` is that of the manifest `{file name: {digest, sizeBytes}}`."""

    digest: Digest
    size_bytes: int
    signer: str | None = Field(default=None, max_length=64)
    """SHA-256 of the public key that its signature is checked with, as hex; None when it is not signed."""


class LabelFacts(Observed):
    """A dataset's labels: their type, the shape of one sample's, and of integers the lowest and the highest."""

    dtype: str = Field(max_length=20)
    shape: list[int] = Field(max_length=8)
    low: int | None = None
    high: int | None = None


class ModelFacts(Observed):
    """What resolve found out about the model and the dataset."""

    digest: Digest
    """Digest of the model's own bytes."""
    format: ModelFormat
    inputs: list[TensorSpec] = Field(max_length=16)
    outputs: list[TensorSpec] = Field(max_length=16)
    parameters: int
    size_bytes: int
    dataset_samples: int | None = None
    classes: int | None = None
    labels: LabelFacts | None = None
    """None without labels, and of an older image."""


class AccuracyFacts(Observed):
    """A score with its 95 % confidence interval (Wilson for top1, bootstrap otherwise)."""

    metric: Metric
    value: float
    low: float
    high: float
    samples: int
    agreement: float | None = None
    """Share of samples on which the top class equals the reference's; None without reference."""


class DropInterval(Observed):
    """Between what the true drop of the metric lies: each bound with 95 % confidence, from the same samples for both.

    top1: Tango's score bound with an exact one where losses are few (api/confidence.py); other metrics: paired
    bootstrap (BCa, Efron 1987). None: too few samples for any bound.
    """

    low: float | None = None
    high: float | None = None
    lost: int | None = None
    """top1: samples that the reference alone has right."""
    gained: int | None = None
    """top1: samples that the reference alone has wrong."""


class VariantFacts(Observed):
    """What quantize made."""

    precision: Precision
    method: Method
    calibration: Calibration | None = None
    scheme: str
    """Short form such as `w8a8 per-channel`."""
    accuracy: AccuracyFacts
    accuracy_drop: float = 0.0
    """Reference value minus this value (sign such that positive is worse)."""
    drop_interval: DropInterval | None = None
    """Confidence interval of the drop; None for the reference itself."""
    size_bytes: int
    seconds: float | None = None
    """Time that it took to make and to score it, in the attempt that came to its end; None of an older operator."""
    notes: str = Field(default="", max_length=500)
    """What the user should know about the score, such as a dataset too short for what was asked."""


class Delegation(Observed):
    """How many graph nodes run on the NPU."""

    npu: int
    total: int
    left_on_cpu: list[str] = Field(default_factory=list, max_length=10)
    """Operator types with counts, such as `LayerNormalization x5`."""


class CompiledFacts(Observed):
    """What convert made."""

    toolchain: ToolchainName
    tool_version: str
    soc: str
    architecture: str
    delegation: Delegation
    size_bytes: int
    """Bytes of the file that the board loads."""
    deployable: bool = True
    """False for what no board can load, such as an estimate."""


class LatencyFacts(Observed):
    """Latency figures of one provenance. Percentiles are absent where only an estimate exists."""

    provenance: Provenance
    p50: Duration
    p90: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    p999: Duration | None = None
    """p99.9"""
    mean: Duration | None = None
    min: Duration | None = None
    max: Duration | None = None
    stddev: Duration | None = None
    load: Duration | None = None
    """From files to a session that can run; in no other figure."""
    first: Duration | None = None
    """The first inference after that, before any warm-up; in no other figure."""
    throughput: float | None = None
    """Inferences per second, one after the other."""
    noisy: bool = False
    """The run was disturbed (halves differ, drift, throttling): bounds rest on queries that are alike."""
    bound: Duration | None = None
    """Upper confidence bound of the gated percentile (cost model: its upper estimate). None: too few samples."""
    samples: int = 0
    """Timed queries; 0 for a cost model."""
    source: str
    """What gave the figures, such as `QNN cost model SA8255 v73` or `onnxruntime 1.32.0 on x86_64`."""
    notes: str = ""


class BenchmarkFacts(Observed):
    """What benchmark found; `latencies` holds at most one entry per provenance."""

    latencies: list[LatencyFacts] = Field(max_length=4)
    latency_note: str = Field(default="", max_length=300)
    """Why there is no latency of the target, such as a SoC without cost model; empty where there is one."""
    throughput: float | None = None
    """Inferences per second, of the strongest provenance."""
    power: Power | None = None
    power_source: str = "unavailable"
    power_note: str = Field(default="", max_length=300)
    """How power was measured, or why it could not be."""
    power_provenance: Provenance | None = None
    idle_power: Power | None = None
    """Mean power before the load, which `power` does not include."""
    energy_per_inference: Energy | None = None
    """Above idle: (load - idle) * time / inferences."""
    memory: Memory | None = None
    """Peak memory of the model on the target."""
    memory_provenance: Provenance | None = None
    """measured on the board, or estimated: then it is a lower limit (weights and tensors of inputs and outputs)."""
    reference: LatencyFacts | None = None
    """The fp32 reference on the CPU that ran the benchmark, for ratios."""
    end_to_end: LatencyFacts | None = None
    """Camera to decision; measured on the board, host, or estimated (target's latency + this CPU's processing)."""
    accuracy_on_target: AccuracyFacts | None = None
    accuracy_on_target_drop: float | None = None
    """Same samples, reference outputs minus target, positive is worse."""
    accuracy_on_target_interval: DropInterval | None = None
    """Confidence interval of that drop."""
    accuracy_provenance: Provenance | None = None
    node: str = ""

    @property
    def noisy(self) -> bool:
        """Whether a run that gates may rest on was disturbed: it proves little, and another one may prove more."""
        strongest = max(self.latencies, key=lambda each: PROVENANCE_ORDER.index(each.provenance), default=None)
        return any(each is not None and each.noisy for each in (strongest, self.end_to_end))


class RemovalFacts(Observed):
    """What remove deleted; what was gone already is not counted."""

    artifacts: int
    recipes: int
    freed_bytes: int


class Failure(Observed):
    """Why a stage failed, in the user's words."""

    reason: str
    message: str
    retryable: bool


class StageResult(Observed):
    """A stage pod's answer; exactly one of the fact fields is set on success, `failure` otherwise.

    Every success has an artifact, but that of remove and those on vehicles.
    """

    stage: StageName
    recipe: Digest
    artifact: Artifact | None = None
    model: ModelFacts | None = None
    variant: VariantFacts | None = None
    compiled: CompiledFacts | None = None
    benchmark: BenchmarkFacts | None = None
    removal: RemovalFacts | None = None
    vehicle: VehicleFacts | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    cached: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether another run may find out what this one could not: a success that is not kept for ever."""
        return self.benchmark is not None and self.benchmark.noisy


def recipe_digest(recipe: AnyRecipe) -> str:
    """The cache key of a recipe: digest of its canonical JSON."""
    return digest_of(recipe.to_wire())


def is_cacheable(recipe: AnyRecipe) -> bool:
    """Whether an earlier result may be reused: an unpinned URI may hold other bytes tomorrow."""
    if isinstance(recipe, ResolveRecipe):
        return recipe.model_sha256 is not None and recipe.dataset_uri is None
    return not isinstance(recipe, RemoveRecipe | VehicleRecipe)
