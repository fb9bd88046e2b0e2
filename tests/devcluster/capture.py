"""Captures what kubectl sends as protobuf: `PYTHONPATH=operator:tests python tests/devcluster/capture.py`."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from unittest import mock

from devcluster.running import Running
from dms_operator.devcluster.server import protobuf

COMMANDS = {
    "namespace": ("namespace", "n"),
    "configmap": ("configmap", "c", "--from-literal=a=b", "--from-literal=c=d"),
    "secret": ("secret", "generic", "s", "--from-literal=k=v"),
    "serviceaccount": ("serviceaccount", "s"),
    "job": ("job", "j", "--image=i:1", "--", "sh", "-c", "true"),
    "deployment": ("deployment", "d", "--image=i:1", "--replicas=2"),
}


async def capture() -> dict[str, str]:
    """Bodies by command, in hexadecimal."""
    bodies: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as directory:
        async with Running(Path(directory) / "kubeconfig") as cluster:
            for name, arguments in COMMANDS.items():
                with mock.patch.object(protobuf, "decode", wraps=protobuf.decode) as decode:
                    await cluster.kubectl("create", *arguments)
                bodies[name] = decode.call_args.args[0].hex()
    return bodies


if __name__ == "__main__":
    found = asyncio.run(capture())
    Path(__file__).with_name("kubectl_protobuf.json").write_text(json.dumps(found, indent=1) + "\n")
