"""The recommendation: which platform and precision, QAT or not, which backbone, and what is not known."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..objects import Deployment
from . import rules
from .advice import Advice
from .rows import Group, groups, tried


def recommend(deployments: Sequence[Deployment]) -> list[Advice]:
    """All lines, model by model; what applies to all comes last. A pure function of specs and statuses."""
    return list(_lines(deployments))


def _lines(deployments: Sequence[Deployment]) -> Iterator[Advice]:
    by_model: dict[str, list[Group]] = {}
    found = groups(deployments)
    for group in found:
        by_model.setdefault(group.key[0], []).append(group)
    for mine in by_model.values():
        name = f"{mine[0].rows[0].deployment}: " if len(by_model) > 1 else ""
        for each in _of_model(deployments, mine):
            yield replace(each, text=name + each.text)
    yield from rules.backbone(list(by_model.values()))
    yield from rules.evidence(found)
    yield from rules.unfinished(deployments)


def _of_model(deployments: Sequence[Deployment], mine: Sequence[Group]) -> Iterator[Advice]:
    yield from rules.board(mine)
    for group in mine:
        yield from rules.int8_first(group)
        static, trained = (tried(deployments, group.key, method) for method in ("static", "qat"))
        yield from rules.qat(group, static, trained)
