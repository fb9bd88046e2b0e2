"""TI Deep Learning: TI's ONNX Runtime provider and import tool driven, pre-flight and estimates without either."""

from .toolchain import Tidl

__all__ = ["Tidl"]
