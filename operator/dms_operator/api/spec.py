"""`spec` of a DMSModelDeployment: what a user asks for. Every string and list is bounded, every field described.

Descriptions are what `kubectl explain` prints. Rules that span fields stand in `rules.py` (CEL) and are checked
again here, so that an object that passed an older CRD is never acted upon.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from . import patterns
from .base import Model, Name
from .capabilities import BOARDS, PRECISIONS, BoardType, Precision, ToolchainName, default_toolchain, refusal
from .contradictions import contradictions
from .end_to_end import EndToEnd
from .errors import InvalidSpec
from .node_labels import NodeLabels
from .quantities import AboveZero, Duration, Memory, Power, Share
from .quantization import StaticForm
from .rollout import RolloutSpec
from .rules import PROVABLE_DROP, STATIC_FORM, WHOLE_DROP
from .stages import Calibration, Metric, ProfileName, Provenance, TensorSpec
from .static_forms import lack_of
from .target_options.check import check_options

Uri = Annotated[str, StringConstraints(pattern=patterns.URI, max_length=1024)]
StoreUri = Annotated[str, StringConstraints(pattern=patterns.STORE_URI, max_length=1024)]
Sha256 = Annotated[str, StringConstraints(pattern=patterns.SHA256, max_length=64)]
ObjectName = Annotated[str, StringConstraints(pattern=patterns.OBJECT_NAME, max_length=253)]
OptionKey = Annotated[str, StringConstraints(max_length=63)]
OptionValue = Annotated[str, StringConstraints(max_length=2048)]
"""Long enough for lists of layers' names."""


class SecretReference(Model):
    """A Secret in the deployment's namespace."""

    name: ObjectName
    """Name of the Secret."""


class ModelSpec(Model):
    """The trained network."""

    uri: Uri
    """Where the model lies: file:// (a mounted volume), http(s)://, s3:// or gs://."""
    sha256: Sha256 | None = None
    """SHA-256 of the model's bytes, 64 hex digits. A mismatch stalls the deployment and nothing runs."""
    format: Literal["auto", "pt2", "torchscript", "onnx"] = "auto"
    """File format; auto looks at the bytes. Pickled PyTorch files are refused: export with torch.export.save."""
    inputs: list[TensorSpec] | None = Field(default=None, min_length=1, max_length=16)
    """Inputs with static shapes. Needed for TorchScript, and for ONNX with dynamic axes, which are then fixed so."""
    secret_ref: SecretReference | None = None
    """Secret whose keys become environment variables of the stages that fetch the model and the dataset."""


class DatasetSpec(Model):
    """Labelled samples for calibration, accuracy and quantization-aware training."""

    uri: Uri
    """An .npz file: one array per model input, of its name, first axis = samples, and `labels`: class numbers [N], for
    mae what the first output has to meet, for cosine none."""
    calibration_samples: int = Field(default=256, ge=1, le=100_000)
    """Samples for calibration; kept apart from the evaluation samples."""
    evaluation_samples: int = Field(default=1000, ge=1, le=1_000_000)
    """Samples on which accuracy is counted: 299 without any loss prove a drop of at most 0.01, fewer prove nothing."""
    metric: Metric = "top1"
    """top1, macroF1, mae, or cosine (label-free agreement with the fp32 model)."""


class QatSpec(Model):
    """Quantization-aware training."""

    epochs: int = Field(default=10, ge=1, le=1000)
    """Passes over the training samples."""
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    """Peak learning rate."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Samples per step."""


class QuantizationSpec(Model):
    """How the model becomes small and fast, and how much accuracy that may cost."""

    precisions: list[Precision] = Field(
        default=["int8"], min_length=1, max_length=len(PRECISIONS), json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Precisions to try, of fp32 fp16 int8 int4: cheapest latency first, the first that passes the gates wins."""
    method: Literal["auto", "dynamic", "static", "qat"] = "auto"
    """auto climbs the ladder from post-training quantization to quantization-aware training only as far as needed."""
    calibration: Literal["auto", "minmax", "entropy", "percentile", "mse"] = "auto"
    """How activation ranges are chosen in static quantization."""
    static: StaticForm | None = None
    """One form of static quantization, which is made and no other; only with method static. Absent = climb them all."""
    max_accuracy_drop: float = Field(default=0.01, ge=0, le=1_000_000)
    """Largest accepted loss of the metric against the fp32 model, absolute (0.01 = one point; for mae in the labels'
    unit). It has to be proven: the upper confidence bound of the loss must stay below it."""
    qat: QatSpec = QatSpec()
    """Settings of quantization-aware training."""

    @field_validator("max_accuracy_drop")
    @classmethod
    def _drop_can_be_proven(cls, drop: float) -> float:
        if drop <= 0:
            raise ValueError(PROVABLE_DROP)
        return drop

    @model_validator(mode="after")
    def _static_form_is_asked_for(self) -> Self:
        if self.static is not None and self.method != "static":
            raise ValueError(STATIC_FORM)
        return self

    def fixed_calibration(self) -> Calibration | None:
        """The calibration that the user fixed, or None for auto."""
        return None if self.calibration == "auto" else self.calibration


class TargetSpec(Model):
    """One board type that the model is built for."""

    name: Name
    """Name of the target, unique in the deployment."""
    board: BoardType
    """Board type, such as qcs8255, sa8255, tda4vm, generic-arm64 or generic-x86."""
    toolchain: ToolchainName | None = None
    """qnn, snpe-sdk, tidl or onnxruntime; the board's own default if absent."""
    precisions: list[Precision] | None = Field(
        default=None, min_length=1, max_length=len(PRECISIONS), json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Overrides quantization.precisions for this target."""
    node_selector: NodeLabels = {}
    """Further labels that the board's node must carry."""
    options: dict[OptionKey, OptionValue] = Field(default={}, max_length=32)
    """Toolchain options (docs/qualcomm.md, docs/tda4vm.md); one that the toolchain does not know is refused."""
    min_provenance: Provenance | None = None
    """Overrides benchmark.minProvenance for this target, such as estimated for a board that nobody has yet."""

    def effective_toolchain(self) -> ToolchainName:
        """The toolchain that builds this target."""
        return self.toolchain or default_toolchain(self.board)


def _check_options(target: TargetSpec) -> None:
    """Raise ValueError for what convert would refuse, when quantization was paid for already."""
    try:
        check_options(target.effective_toolchain(), target.board, target.options)
    except InvalidSpec as error:
        raise ValueError(f"target {target.name}: {error}") from error


class RegressionSpec(Model):
    """How much worse a new revision may be than the stable one. The first revision has nothing to be held against."""

    latency: Share = Share("10%")
    """Largest accepted rise of the median latency. More is refused until this allows it."""
    accuracy: float = Field(default=0.01, ge=0, le=1)
    """Largest accepted loss of the metric, absolute."""


class BenchmarkSpec(Model):
    """How the model is measured, and what it must reach."""

    profile: ProfileName = "quick"
    """rapid (64 queries, 6 s), quick (128, 10 s), normal (1024, 60 s) or official (600 s)."""
    warmup: int = Field(default=10, ge=0, le=10_000)
    """Inferences before the clock starts."""
    latency_budget: Annotated[Duration, AboveZero("write the time that the driver has, such as 50ms")] = Duration(
        "50ms"
    )
    """Largest accepted latency at the percentile, with a unit (50ms). The upper confidence bound must stay below it.
    It is held against camera to decision where endToEnd is given, else against the network alone."""
    percentile: float = Field(default=99, ge=50, le=99.9)
    """The percentile that is held against the budget."""
    power_budget: Annotated[Power, AboveZero("leave powerBudget out where power does not count")] | None = None
    """Largest accepted mean power above idle, with a unit (800mW). A power that cannot be measured never passes."""
    memory_budget: Annotated[Memory, AboveZero("leave memoryBudget out where memory does not count")] | None = None
    """Largest accepted peak memory, with a unit (64Mi). A peak that cannot be measured never passes."""
    end_to_end: EndToEnd | None = None
    """Time camera to decision, pre- and post-processing included; {} takes frames of 1280 x 800. Without a board it is
    an estimate (simulated network, processing on the build machine), which needs minProvenance: estimated."""
    regression: RegressionSpec = RegressionSpec()
    """How much worse a new revision may be than the stable one."""
    min_provenance: Provenance = "simulated"
    """Weakest accepted origin of every figure that a gate rests on: measured (on the board), simulated, estimated or
    host."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the benchmark pods: of those that wait for a board, the highest priority is next."""
    simulation_samples: int = Field(default=16, ge=1, le=1000)
    """Evaluation samples that run through the vendor's functional simulator where there is one; a board runs all."""


class ArtifactsSpec(Model):
    """Where built artifacts are kept."""

    uri: StoreUri
    """Artifact store: file:// (a mounted volume), s3:// or gs://."""
    retain: int = Field(default=5, ge=1, le=100)
    """Revisions whose artifacts are kept."""


class DeploymentSpec(Model):
    """What a user asks for: a model, the boards it is for, and what it must reach on them."""

    suspend: bool = False
    """Start nothing new while true; running pods end by themselves."""
    model: ModelSpec
    """The trained network."""
    dataset: DatasetSpec
    """Labelled samples for calibration, accuracy and quantization-aware training."""
    quantization: QuantizationSpec = QuantizationSpec()
    """How the model becomes small and fast, and how much accuracy that may cost."""
    targets: list[TargetSpec] = Field(
        min_length=1,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The board types that the model is built for."""
    benchmark: BenchmarkSpec = BenchmarkSpec()
    """How the model is measured, and what it must reach."""
    rollout: RolloutSpec | None = None
    """How the model reaches the fleet; absent = the deployment is done when its targets are Ready."""
    artifacts: ArtifactsSpec
    """Where built artifacts are kept."""

    def precisions_of(self, target: TargetSpec) -> list[Precision]:
        """The precisions that are tried for a target."""
        return target.precisions or self.quantization.precisions

    @model_validator(mode="after")
    def _targets_are_possible(self) -> Self:
        if self.quantization.max_accuracy_drop > 1 and self.dataset.metric != "mae":
            raise ValueError(WHOLE_DROP)
        names = [target.name for target in self.targets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two targets are named {name!r}: give each target a name of its own")
        for target in self.targets:
            toolchain = target.effective_toolchain()
            if toolchain not in BOARDS[target.board].toolchains:
                allowed = ", ".join(BOARDS[target.board].toolchains)
                raise ValueError(f"toolchain {toolchain} does not build for {target.board}: use one of {allowed}")
            _check_options(target)
            for precision in self.precisions_of(target):
                why = refusal(toolchain, precision, target.board)
                if why:
                    raise ValueError(f"{precision} is not possible for {target.board}: {why}")
                self._check_form(target, precision)
            if self.quantization.method == "dynamic" and toolchain != "onnxruntime":
                raise ValueError(
                    f"dynamic quantization does not run on {target.board}'s NPU: use method auto, static or qat, "
                    "or toolchain onnxruntime"
                )
        return self

    def _check_form(self, target: TargetSpec, precision: Precision) -> None:
        """The operator alone tells it: the rules would take the rest of what a CRD may hold."""
        form = self.quantization.static
        lack = lack_of(target.effective_toolchain(), precision, form) if form else None
        if lack:
            raise ValueError(f"target {target.name}: {lack}")

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Self:
        for words in contradictions(self):
            raise ValueError(words)
        return self
