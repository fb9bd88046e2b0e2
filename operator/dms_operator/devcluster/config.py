"""What a dev cluster is made of: nodes, images, timings. Read from YAML or built in code."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TaintConfig(_Settings):
    """A taint that a node starts with."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


class NodeConfig(_Settings):
    """One simulated node; its pods run as processes of this machine."""

    name: str
    labels: dict[str, str] = {}
    taints: tuple[TaintConfig, ...] = ()
    capacity: dict[str, str] = Field(default={}, description="over the machine's own cpu and memory, 110 pods")


class ImageConfig(_Settings):
    """What stands in for an image: directories put before PATH, and environment."""

    path: tuple[str, ...] = ()
    env: dict[str, str] = {}
    entrypoint: tuple[str, ...] = ()


class BackoffConfig(_Settings):
    """Exponential waiting in seconds."""

    initial: Annotated[float, Field(ge=0)] = 10.0
    limit: Annotated[float, Field(ge=0)] = 600.0


class DevClusterConfig(_Settings):
    """Everything that decides how a dev cluster behaves.

    The default timings are those of Kubernetes: Jobs wait 10 s doubling to 10 min
    (pkg/controller/job), crashed containers 10 s doubling to 5 min (pkg/kubelet), volumes and configuration are
    tried again every `retry_seconds`.
    """

    data_directory: Path
    kubeconfig: Path | None = None
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    nodes: tuple[NodeConfig, ...] = (NodeConfig(name="build-1"),)
    images: dict[str, ImageConfig] = Field(default={}, description="image name or glob to its environment")
    job_backoff: BackoffConfig = BackoffConfig()
    restart_backoff: BackoffConfig = BackoffConfig(limit=300.0)
    retry_seconds: Annotated[float, Field(gt=0)] = 2.0
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 10.0
    audit_log: Path | None = Field(default=None, description="gets a JSON line per request for a resource")

    def find_image(self, image: str) -> ImageConfig | None:
        """Return the environment of an image: an exact name first, then the longest glob that matches."""
        if image in self.images:
            return self.images[image]
        globs = [pattern for pattern in self.images if fnmatch.fnmatchcase(image, pattern)]
        return self.images[max(globs, key=len)] if globs else None


def load_config(path: Path, **overrides: object) -> DevClusterConfig:
    """Read a configuration from YAML; overrides win over the file.

    Raises OSError, yaml.YAMLError or pydantic.ValidationError.
    """
    content = yaml.safe_load(os.path.expandvars(path.read_text())) or {}
    return DevClusterConfig.model_validate({**content, **overrides})
