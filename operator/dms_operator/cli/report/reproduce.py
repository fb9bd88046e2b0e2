"""How to get the same numbers again: digests of what went in, and the request that gave each benchmark."""

import json
from collections.abc import Iterator

from ..objects import Deployment
from .document import Block, Cell, Code, Section, Table, Text
from .evidence import Evidence


def reproduce(deployment: Deployment, evidence: Evidence) -> Section:
    """The last section."""
    return Section("How to reproduce it", list(_blocks(deployment, evidence)))


def _blocks(deployment: Deployment, evidence: Evidence) -> Iterator[Block]:
    namespace, name = deployment.metadata.namespace, deployment.name
    yield Text("The same spec, inputs and images give the same recipes, and so the same artifacts by digest.")
    yield Table(("what", "digest"), list(_digests(deployment)))
    requests = list(_requests(deployment, evidence))
    if requests:
        yield Text("Each benchmark again, by hand, in its image: save a request and run it.")
        yield Code("dms stage run request.json")
        yield from (Code(text) for text in requests)
    yield Text("This report again:")
    yield Code(f"kubectl dms report {name} --namespace {namespace} --store {deployment.spec.artifacts.uri}")


def _digests(deployment: Deployment) -> Iterator[list[Cell]]:
    status = deployment.status
    if status.model:
        yield ["model file", status.model.digest]
        yield ["resolved model and dataset", status.model.artifact.digest]
    for variant in status.variants:
        yield [f"variant {variant.name}", variant.artifact.digest]
    for target in status.targets:
        for candidate in target.candidates:
            if candidate.compiled:
                yield [f"{candidate.variant} compiled for {target.name}", candidate.compiled.artifact.digest]
            if candidate.benchmark:
                yield [f"{candidate.variant} benchmarked on {target.name}", candidate.benchmark.artifact.digest]


def _requests(deployment: Deployment, evidence: Evidence) -> Iterator[str]:
    """Stage requests of the benchmarks, as their pods got them."""
    for target in deployment.status.targets:
        for candidate in target.candidates:
            recipe = evidence.of(target, candidate).benchmark.get("recipe")
            if recipe:
                request = {
                    "apiVersion": "dms.edge/stage.v1",
                    "deployment": f"{deployment.metadata.namespace}/{deployment.name}",
                    "target": target.name,
                    "store": deployment.spec.artifacts.uri,
                    "recipe": recipe,
                }
                yield json.dumps(request, indent=1)
