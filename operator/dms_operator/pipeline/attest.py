"""What a stage writes beside its artifact: provenance (in-toto, SLSA v1), bill of materials (CycloneDX), signature."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..api.errors import SigningUnavailable
from ..api.stages import AnyRecipe, Artifact, ResolveRecipe, StageRequest
from ..artifacts.attestation import Attestation
from ..artifacts.copying import file_digest
from ..artifacts.uris import public
from .context import StageContext

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://dms.edge/stage/v1"
"""Its externalParameters are the stage's recipe, which alone decides the output (api/stages.py)."""
MODEL_SUFFIXES = (".onnx", ".bin", ".dlc", ".pt2")
"""Files that are models in themselves, in the bill of materials."""
_INPUTS = ("resolved", "reference", "variant", "compiled")
"""Fields of recipes that name artifacts by digest."""
_FETCHED = {"model": "source", "dataset": "dataset.npz"}
"""Files of a resolved artifact that are an input as it was fetched, byte for byte."""
_TOOLS = ("numpy", "onnx", "onnxruntime", "onnxruntime-qnn", "torch")
"""Distributions that decide an artifact's bytes; all others are in the bill of materials alone."""


def attested(
    artifact: Artifact,
    files: Mapping[str, Path],
    request: StageRequest,
    context: StageContext,
    compiler: str | None = None,
) -> Artifact:
    """Write and sign the documents of an artifact that was just stored; `compiler` names the tools of convert.

    Equal bytes may come of different recipes: the documents of the first stay, if our key signed them.
    Raises SigningUnavailable, StoreUnwritable.
    """
    known = context.store.attestation(artifact.digest)
    if known is None or not context.keys.trusts(known):
        digests = {name: file_digest(path) for name, path in sorted(files.items())}
        tools = installed()
        made_by = _deciding(tools) | ({"compiler": compiler} if compiler else {})
        plain = Attestation(
            provenance=provenance(artifact, digests, request.recipe, made_by),
            sbom=bill_of_materials(artifact, digests, tools),
        )
        known = context.keys.sign(files, plain, context.workdir)
        context.store.attest(artifact.digest, known)
    return artifact.model_copy(update={"signer": context.keys.signer if known.signature else None})


def provenance(
    artifact: Artifact, digests: Mapping[str, str], recipe: AnyRecipe, tools: Mapping[str, str]
) -> dict[str, Any]:
    """An in-toto statement: these files came of this recipe and these inputs, by this image and these tools."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _hex(digest)}} for name, digest in digests.items()],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _public(recipe).to_wire(),
                "internalParameters": {"artifact": artifact.digest},
                "resolvedDependencies": list(_dependencies(_public(recipe), digests)),
            },
            "runDetails": {
                "builder": {"id": f"dms-operator/{recipe.stage}", "version": {"dms-operator": __version__, **tools}},
                "byproducts": [],
            },
        },
    }


def _public(recipe: AnyRecipe) -> AnyRecipe:
    """The recipe without what a signed URL lets its holder do: papers lie beside artifacts, for whoever reads those."""
    if not isinstance(recipe, ResolveRecipe):
        return recipe
    dataset = recipe.dataset_uri and public(recipe.dataset_uri)
    return recipe.model_copy(update={"model_uri": public(recipe.model_uri), "dataset_uri": dataset})


def _dependencies(recipe: AnyRecipe, digests: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    yield {"name": "image", "uri": recipe.image}
    if isinstance(recipe, ResolveRecipe):
        for name, uri in (("model", recipe.model_uri), ("dataset", recipe.dataset_uri)):
            if uri:
                yield {"name": name, "uri": uri, "digest": {"sha256": _hex(digests[_FETCHED[name]])}}
    for name in _INPUTS:
        if digest := getattr(recipe, name, None):
            yield {"name": name, "digest": {"sha256": _hex(digest)}}


def bill_of_materials(artifact: Artifact, digests: Mapping[str, str], tools: Mapping[str, str]) -> dict[str, Any]:
    """CycloneDX 1.6: the artifact's files, and the Python distributions (name to version) of the image that made it."""
    try:
        from cyclonedx.model import HashAlgorithm, HashType
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
        from packageurl import PackageURL
    except ImportError as error:
        message = f"the stage's image cannot write a bill of materials: {error.name} is not installed"
        raise SigningUnavailable(message, hint="Add the extra attest to the image") from error

    bom = Bom()
    whole = Component(type=ComponentType.MACHINE_LEARNING_MODEL, name=artifact.digest, bom_ref=artifact.digest)
    bom.metadata.component = whole
    for name, digest in digests.items():
        kind = ComponentType.MACHINE_LEARNING_MODEL if name.endswith(MODEL_SUFFIXES) else ComponentType.FILE
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=_hex(digest))]
        file = Component(type=kind, name=name, hashes=hashes, bom_ref=f"file:{name}")
        bom.components.add(file)
        bom.register_dependency(whole, [file])
    for name, version in tools.items():
        url = PackageURL("pypi", name=name, version=version)
        tool = Component(type=ComponentType.LIBRARY, name=name, version=version, purl=url, bom_ref=str(url))
        bom.metadata.tools.components.add(tool)
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    return document


def installed() -> dict[str, str]:
    """Every Python distribution of this image, by name."""
    found = {each.name: each.version for each in importlib.metadata.distributions() if each.name}
    return dict(sorted(found.items(), key=lambda entry: entry[0].lower()))


def _deciding(tools: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in tools.items() if name in _TOOLS}


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
