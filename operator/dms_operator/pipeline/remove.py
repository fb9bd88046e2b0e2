"""Stage remove: delete what a deployment leaves behind in the artifact store. The only stage that makes nothing."""

from ..api.stages import RemovalFacts, RemoveRecipe
from ..artifacts.store import Store


def run(recipe: RemoveRecipe, store: Store) -> RemovalFacts:
    """Delete the recipe's artifacts and records; run again, it goes on where it was cut short.

    Raises StoreUnwritable, StoreUnavailable.
    """
    return store.remove(recipe.artifacts, recipe.recipes)
