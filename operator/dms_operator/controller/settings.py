"""What the operator is told by whoever installs it: images, volumes, resources, limits (a YAML file)."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from ..api.base import Model, problems
from ..api.capabilities import ToolchainName
from ..api.errors import Terminal
from ..api.log_lines import FORMAT_VARIABLE, LogFormat
from ..api.node_labels import Labels
from ..api.quantities import Duration
from ..api.rollout import MetricName
from ..api.stages import REQUEST_VARIABLE, StageName
from ..api.tracing import PARENT_VARIABLE
from ..api.vehicle import FLEET_FOLDER_VARIABLE
from ..artifacts.signing import KEY_VARIABLES
from .tolerations import Toleration

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
FILE_ROOTS_VARIABLE = "DMS_FILE_ROOTS"
NODE_VARIABLE = "DMS_NODE_NAME"
OWN_VARIABLES = (
    REQUEST_VARIABLE,
    FILE_ROOTS_VARIABLE,
    NODE_VARIABLE,
    FORMAT_VARIABLE,
    PARENT_VARIABLE,
    FLEET_FOLDER_VARIABLE,
    *KEY_VARIABLES,
    "HOME",
)
"""Environment of a stage pod that the operator alone sets."""
OWN_VOLUMES = ("scratch", "signing", "board", "dms-fleet")
"""Volumes of a stage pod that the operator adds."""
SCRATCH = "/tmp"  # nosec B108
"""The only writable folder of a stage pod besides its volumes."""


_HINT = "A file that works: examples/kustomize/settings.yaml"


class InvalidSettings(Terminal):
    """The settings file is missing, is no YAML, or says what cannot be meant."""

    reason = "InvalidSettings"


class Images(Model):
    """Container image of each stage. They are part of every recipe: another image means another result."""

    resolve: str
    """Fetches and exports models; also removes artifacts."""
    quantize: str
    """Quantizes and scores."""
    convert: dict[ToolchainName, str] = Field(default={})
    """Compiles, per toolchain. A toolchain without image cannot be built for."""
    benchmark: dict[ToolchainName, str] = Field(default={})
    """Measures, per toolchain; on vehicles it brings, checks and switches revisions with the same runtime."""

    def of(self, stage: StageName, toolchain: ToolchainName) -> str | None:
        """Image that runs a stage, or None when none is configured for the toolchain."""
        match stage:
            case "resolve" | "remove":
                return self.resolve
            case "quantize":
                return self.quantize
            case "convert":
                return self.convert.get(toolchain)
            case "benchmark" | "prefetch" | "activate" | "deactivate":
                return self.benchmark.get(toolchain)


class StageVolume(Model):
    """A volume that every stage pod gets, such as the model share or the artifact store."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """Name of the volume in the pod."""
    mount_path: str = Field(pattern=r"^/")
    """Where it is mounted."""
    read_only: bool = False
    """Whether stages may only read it."""
    source: dict[str, Any] = Field(min_length=1, max_length=1)
    """A Kubernetes volume source, such as {persistentVolumeClaim: {claimName: models}}."""


class StageResources(Model):
    """Requests and limits of a stage pod, as Kubernetes quantities."""

    requests: dict[str, str] = Field(default={})
    limits: dict[str, str] = Field(default={})


class Tracing(Model):
    """OpenTelemetry traces of the operator and of the stage pods."""

    endpoint: str = Field(pattern=r"^https?://\S+$", max_length=1024)
    """A collector that takes OTLP over HTTP, such as http://collector.observability:4318."""


class Signing(Model):
    """Signatures of artifacts. With it every stage signs what it writes, and uses nothing that is not signed."""

    secret: str = Field(min_length=1, max_length=253)
    """Secret in the deployment's namespace that holds an elliptic-curve key pair in PEM."""
    private_key: str = Field(default="private.pem", pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)
    """Its entry with the private key, without a passphrase."""
    public_key: str = Field(default="public.pem", pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)
    """Its entry with the public key."""


class FleetSettings(Model):
    """How vehicles keep revisions, and where their runtimes' metrics are read."""

    volume: dict[str, Any] = Field(min_length=1, max_length=1)
    """Volume source of the folder that outlives the pods, such as {hostPath: {path: /var/lib/dms, type: Directory}}.
    The stage pods' user must be able to write there."""
    prometheus: str | None = Field(default=None, pattern=r"^https?://\S+$", max_length=1024)
    """Prometheus that the rollout's gates ask, such as http://prometheus.monitoring:9090. Without it a rollout with
    gates does not begin."""
    queries: dict[MetricName, str] = Field(default={})
    """PromQL of a gate's metric, in place of the default: one value for each `node`, of which the worst counts. Without
    that label nobody knows of how many vehicles it tells. $namespace, $deployment and $revision stand for the rollout's
    own, $interval for the time between two readings."""


class RunAs(Model):
    """User of the stage pods. Never root: the pods satisfy the restricted pod security standard."""

    user: int | None = Field(default=65532, ge=1)
    """User id; 65532 is `nonroot` of the distroless images. None: the cluster chooses, as OpenShift does."""
    group: int | None = Field(default=65532, ge=1)
    """Primary group, and group of the mounted volumes. None: the cluster chooses."""


DEADLINES: dict[StageName, Duration] = {
    "resolve": Duration("1h"),
    "quantize": Duration("12h"),
    "convert": Duration("2h"),
    "benchmark": Duration("2h"),
    "remove": Duration("10m"),
    "prefetch": Duration("1h"),
    "activate": Duration("10m"),
    "deactivate": Duration("10m"),
}
"""Generous by default: they catch a pod that hangs, and do not hurry one that works."""


class Settings(Model):
    """Settings of the operator."""

    images: Images
    """Container image of each stage."""
    image_pull_policy: PullPolicy = "IfNotPresent"
    """Pull policy of the stage pods."""
    image_pull_policies: dict[str, PullPolicy] = Field(default={})
    """Pull policy of single images, such as one that a licence keeps out of every registry."""
    image_pull_secrets: list[str] = Field(default=[])
    """Secrets of type dockerconfigjson in the deployment's namespace, to pull the stages' images with."""
    command: list[str] = Field(default=["dms", "stage", "run"], min_length=1)
    """What a stage pod runs."""
    volumes: list[StageVolume] = Field(default=[])
    """Volumes of every stage pod."""
    file_roots: list[str] = Field(default=["/models", "/data", "/artifacts"])
    """Folders below which file:// URIs may point, as seen in the stage pods."""
    store_secret: str | None = None
    """Secret in the deployment's namespace with the artifact store's credentials, for every stage."""
    env: dict[str, str] = Field(default={})
    """Environment of every stage pod, such as proxies or the address of an object store. Nothing secret."""
    service_account: str | None = None
    """Service account of the stage pods in the deployment's namespace. Its token is never mounted; clouds that give
    identities to accounts need its name."""
    pod_labels: Labels = Field(default={})
    """More labels of every stage pod."""
    pod_annotations: dict[str, str] = Field(default={})
    """Annotations of every stage pod, such as one that keeps a service mesh's sidecar out."""
    priority_class: str | None = None
    """Priority class of every stage pod."""
    affinity: dict[str, Any] = Field(default={})
    """Affinity of every stage pod."""
    resources: dict[StageName, StageResources] = Field(default={})
    """Requests and limits per stage."""
    node_selectors: dict[StageName, Labels] = Field(default={})
    """Labels that a stage's node must carry."""
    tolerations: list[Toleration] = Field(default=[])
    """Tolerations of every stage pod."""
    deadlines: dict[StageName, Duration] = Field(default={})
    """How long one pod of a stage may run; waiting for a node or a board does not count."""
    backoff_limit: int = Field(default=3, ge=0, le=100)
    """Retries of a stage after infrastructure failures."""
    run_as: RunAs = RunAs()
    """User of the stage pods."""
    signing: Signing | None = None
    """Key that artifacts are signed and checked with; absent: they are not signed."""
    fleet: FleetSettings | None = None
    """Folder and metrics of vehicles; absent: no rollout starts."""
    tracing: Tracing | None = None
    """Where traces go; absent: there are none."""
    log_format: LogFormat = "plain"
    """Log lines of the stage pods: plain or json."""
    scratch_limit: str | None = None
    """Size limit of each pod's /tmp, such as 10Gi."""

    @field_validator("env")
    @classmethod
    def _leaves_ours_alone(cls, env: dict[str, str]) -> dict[str, str]:
        if taken := sorted(set(env) & set(OWN_VARIABLES)):
            raise ValueError(f"{', '.join(taken)} is set by the operator itself: remove it")
        return env

    @field_validator("volumes")
    @classmethod
    def _stand_apart(cls, volumes: list[StageVolume]) -> list[StageVolume]:
        names, paths = [each.name for each in volumes], [each.mount_path.rstrip("/") for each in volumes]
        for taken, what in ((names, OWN_VOLUMES), (paths, (SCRATCH,))):
            doubled = [each for each, count in Counter([*taken, *what]).items() if count > 1]
            if doubled:
                raise ValueError(f"{', '.join(doubled)} is taken: every volume has a name and a mountPath of its own")
        return volumes

    @field_validator("deadlines")
    @classmethod
    def _last_a_second(cls, deadlines: dict[StageName, Duration]) -> dict[StageName, Duration]:
        if short := [stage for stage, deadline in deadlines.items() if deadline.value < 1]:
            raise ValueError(f"{', '.join(short)}: a deadline is one second at least")
        return deadlines

    def pull_policy(self, image: str) -> PullPolicy:
        """Pull policy of an image."""
        return self.image_pull_policies.get(image, self.image_pull_policy)

    def deadline(self, stage: StageName) -> int:
        """Seconds that one pod of the stage may run."""
        return int(self.deadlines.get(stage, DEADLINES[stage]).value)


def load_settings(path: Path) -> Settings:
    """Read settings from a YAML file. Raises InvalidSettings, which names each field that is wrong."""
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise InvalidSettings(f"{path}: {problems(error)}", hint=_HINT) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSettings(f"{path} is no YAML file that can be read: {' '.join(str(error).split())}") from error
