"""What a watch of the real kubectl shows while something goes on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.running import Kubectl


@contextmanager
def recording(kubectl: Kubectl, scratch: Path, *what: str) -> Iterator[Path]:
    """Every version of every such object of a namespace, as a watch shows them, into a file."""
    path = scratch / "recorded.json"
    command = [str(Path(sys.executable).with_name("kubectl")), f"--kubeconfig={kubectl.kubeconfig}", "get", *what]
    command += [f"--namespace={kubectl.namespace}", "--watch", "--output-watch-events", "-o", "json"]
    with path.open("wb") as output:
        watch = subprocess.Popen(command, stdout=output)
    try:
        yield path
    finally:
        watch.terminate()
        watch.wait(10)


def events(path: Path) -> list[dict[str, Any]]:
    """The events of a recording, {type, object}; its last one may not be whole yet."""
    text, decoder, found = path.read_text(), json.JSONDecoder(), []
    while text := text.lstrip():
        try:
            event, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            break
        found.append(event)
        text = text[end:]
    return found
