"""Files of artifacts that the report tells of: read from the store, where it can be reached from here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dms_operator.api.errors import DMSError
from dms_operator.api.status import CandidateStatus, TargetStatus, VariantStatus
from dms_operator.artifacts.store import Store, open_store
from dms_operator.artifacts.uris import parse_uri, shown

from ..objects import Deployment

BENCHMARK = "report.json"
COMPILED = ("manifest.json", "layers.json")
QUANTIZED = ("sensitivity.json", "training.json")


@dataclass(frozen=True)
class Files:
    """JSON files of one candidate by name; empty where there are none or they could not be read."""

    benchmark: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantFiles:
    """JSON files of one variant; empty where it was neither mixed nor trained, or they could not be read."""

    sensitivity: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Files by target and variant, files by variant, and what could not be read."""

    files: Mapping[tuple[str, str], Files] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    variants: Mapping[str, VariantFiles] = field(default_factory=dict)

    def of(self, target: TargetStatus, candidate: CandidateStatus) -> Files:
        """Files of a candidate."""
        return self.files.get((target.name, candidate.variant), Files())


def gather(deployment: Deployment, uri: str = "") -> Evidence:
    """Read what the store has; `uri` is how the store is reached from here, by default as the pods reach it."""
    uri = uri or deployment.spec.artifacts.uri
    try:
        parsed = parse_uri(uri)
        store = open_store(uri, (Path(parsed.path),) if parsed.scheme == "file" else None)
    except DMSError as error:
        return Evidence(problems=(f"{error}",))
    found, variants, problems = {}, {}, []
    with TemporaryDirectory(prefix="dms-report-") as scratch:
        for target, candidate in _benchmarked(deployment):
            try:
                files = _files(store, candidate, Path(scratch) / target.name / candidate.variant)
                found[target.name, candidate.variant] = files
            except (DMSError, ValueError) as error:
                problems.append(f"{candidate.variant} on {target.name}: {error}")
        for variant in deployment.status.variants:
            try:
                variants[variant.name] = _variant_files(store, variant, Path(scratch) / "variants" / variant.name)
            except (DMSError, ValueError) as error:
                problems.append(f"{variant.name}: {error}")
    if problems and not found and not variants:
        problems = [f"the store {shown(uri)} has none of the artifacts, or cannot be reached from here: give --store"]
    return Evidence(found, tuple(problems), variants)


def _benchmarked(deployment: Deployment) -> Iterator[tuple[TargetStatus, CandidateStatus]]:
    for target in deployment.status.targets:
        yield from ((target, candidate) for candidate in target.candidates if candidate.compiled)


def _files(store: Store, candidate: CandidateStatus, scratch: Path) -> Files:
    assert candidate.compiled
    compiled = store.fetch(candidate.compiled.artifact.digest, scratch / "compiled", COMPILED)
    measured: dict[str, Path] = {}
    if candidate.benchmark:
        measured = store.fetch(candidate.benchmark.artifact.digest, scratch / "benchmark", (BENCHMARK,))
    manifest, layers = (_json(compiled.get(name)) for name in COMPILED)
    return Files(_json(measured.get(BENCHMARK)), manifest, layers)


def _variant_files(store: Store, variant: VariantStatus, scratch: Path) -> VariantFiles:
    fetched = store.fetch(variant.artifact.digest, scratch, QUANTIZED)
    return VariantFiles(*(_json(fetched.get(name)) for name in QUANTIZED))


def _json(path: Path | None) -> dict[str, Any]:
    """Raises ValueError when it is not one JSON object."""
    if path is None:
        return {}
    document = json.loads(path.read_text())
    if not isinstance(document, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return document
