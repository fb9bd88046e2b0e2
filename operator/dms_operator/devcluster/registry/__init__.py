"""What create, update, patch, apply and delete mean: the semantics of the API, above the store."""

from dms_operator.devcluster.registry.options import DeleteOptions, WriteOptions
from dms_operator.devcluster.registry.registry import Registry

__all__ = ["DeleteOptions", "Registry", "WriteOptions"]
