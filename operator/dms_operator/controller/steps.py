"""The stages that a deployment asks for now, each once, in the order in which they are needed."""

from collections.abc import Callable
from dataclasses import dataclass

from ..api.spec import TargetSpec
from ..api.stages import Failure, Recipe, StageResult, recipe_digest

Fact = StageResult | Failure | None


@dataclass(frozen=True)
class Step:
    """One stage, asked for with one recipe."""

    name: str
    """Stage and what it is about, such as `convert cockpit int8-qnn`."""
    recipe: Recipe
    digest: str
    target: TargetSpec | None
    """The target that it is for, when it is for one alone."""
    fact: Fact
    """What came of it so far."""


class Steps:
    """Collects the steps while the pipeline is walked through."""

    def __init__(self, know: Callable[[str], Fact]) -> None:
        self._know = know
        self.by_digest: dict[str, Step] = {}
        self.recalled: set[str] = set()
        """Digests of recipes that are not wanted now, and may be again: what came of them is kept."""

    def ask(self, name: str, recipe: Recipe, target: TargetSpec | None = None) -> Fact:
        """Ask for a stage and return what is known; a recipe that was asked for before keeps its first name."""
        digest = recipe_digest(recipe)
        step = self.by_digest.setdefault(digest, Step(name, recipe, digest, target, self._know(digest)))
        return step.fact

    def recall(self, _name: str, recipe: Recipe, _target: TargetSpec | None = None) -> Fact:
        """Look for an earlier success of a stage: nothing is started for it."""
        digest = recipe_digest(recipe)
        fact = self._know(digest)
        if not isinstance(fact, StageResult):
            return None
        self.recalled.add(digest)
        return fact
