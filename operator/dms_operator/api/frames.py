"""Which model input takes a camera's frames. Standard library only: boards, which have no pydantic, use it too."""

from collections.abc import Mapping, Sequence


def image_input(shapes: Mapping[str, Sequence[int]]) -> str | None:
    """The input that frames go to: the first of shape [1, C, H, W] or [1, T, C, H, W] with 1, 3 or 4 channels."""
    return next((name for name, shape in shapes.items() if _takes_frames(shape)), None)


def refusal(mean: Sequence[float], std: Sequence[float], shapes: Mapping[str, Sequence[int]]) -> str:
    """Why camera to decision cannot be timed for a model with these inputs; empty when it can."""
    name = image_input(shapes)
    if name is None:
        told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        return (
            f"benchmark.endToEnd needs a model input [1, C, H, W] or [1, T, C, H, W], but the inputs are {told}. "
            "Remove spec.benchmark.endToEnd"
        )
    channels = shapes[name][-3]
    for field, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            return f"benchmark.endToEnd.{field} needs 1 value, or one for each of {channels} channels"
    return ""


def _takes_frames(shape: Sequence[int]) -> bool:
    return len(shape) in (4, 5) and shape[0] == 1 and shape[-3] in (1, 3, 4)
