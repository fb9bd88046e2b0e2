"""Keep torch out of processes that do not compute with it: it takes seconds and 200 MB."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_torch() -> Iterator[None]:
    """Let what is imported inside find no torch, unless it is loaded already.

    onnxruntime.tools imports it wherever it is installed, for export helpers that nobody asked for. A module that is
    None counts as absent (importlib.util.find_spec).
    """
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]
