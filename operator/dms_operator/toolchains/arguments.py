"""Arguments of the programs that are run by `python -m`: what is wrong with one is told before work begins."""

from argparse import ArgumentTypeError
from pathlib import Path


def existing_file(text: str) -> Path:
    """A file's path. Raises ArgumentTypeError, which argparse tells beside the usage."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def named_file(text: str) -> tuple[str, Path]:
    """A name and a file's path, from `name=path`. Raises ArgumentTypeError."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise ArgumentTypeError(f"{text} is no name=model.onnx")
    return name, existing_file(path)
