"""Small models and datasets, good and bad, that tests write where they need them.

Every writer is a plain function: it takes the path to write to, writes one file, and returns that path.
"""

from model_fixtures.broken_files import pickle_pt, truncated
from model_fixtures.datasets import (
    dataset_of_other_shape,
    dataset_with_fewer_labels,
    dataset_with_nan,
    dataset_with_pickled_array,
    dataset_without_labels,
    empty_dataset,
    tiny_dataset,
)
from model_fixtures.onnx_models import (
    CLASSES,
    INPUT_NAME,
    INPUT_SHAPE,
    layernorm_net,
    tiny_classifier,
    with_dynamic_axes,
    with_nan_weight,
    with_uncompilable_op,
    with_unsupported_op,
)
from model_fixtures.torch_models import tiny_pt2, torchscript

__all__ = [
    "CLASSES",
    "INPUT_NAME",
    "INPUT_SHAPE",
    "dataset_of_other_shape",
    "dataset_with_fewer_labels",
    "dataset_with_nan",
    "dataset_with_pickled_array",
    "dataset_without_labels",
    "empty_dataset",
    "layernorm_net",
    "pickle_pt",
    "tiny_classifier",
    "tiny_dataset",
    "tiny_pt2",
    "torchscript",
    "truncated",
    "with_dynamic_axes",
    "with_nan_weight",
    "with_uncompilable_op",
    "with_unsupported_op",
]
