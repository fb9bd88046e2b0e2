"""Run by a Python that has s3fs: tries the store and the sources on an S3 server, and prints what it found as JSON."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import s3fs
from moto.server import ThreadedMotoServer

from dms_operator.api.errors import DMSError
from dms_operator.api.stages import ModelFacts, StageResult
from dms_operator.artifacts.attestation import Attestation
from dms_operator.artifacts.sources import fetch
from dms_operator.artifacts.store import open_store

RECIPE = "sha256:" + "a" * 64
LARGE = 60 << 20
"""Bytes of a file that s3fs sends in parts: it does from 50 MiB on."""
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "canary-6f1e", "AWS_DEFAULT_REGION": "us-east-1"}


def stored(scratch: Path) -> dict[str, Any]:
    small, large = scratch / "small", scratch / "large"
    small.write_bytes(b"weights")
    large.write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    store = open_store("s3://artifacts/dms")
    both, one = store.put({"small": small, "large": large}), store.put({"small": small})
    facts = ModelFacts(digest=RECIPE, format="onnx", inputs=[], outputs=[], parameters=1, size_bytes=1)
    store.record(StageResult(stage="resolve", recipe=RECIPE, artifact=both, model=facts))
    store.attest(both.digest, Attestation(provenance={"of": "both"}, sbom={}))
    found, papers = store.lookup(RECIPE), store.attestation(both.digest)
    fetched = store.fetch(both.digest, scratch / "into")
    same = {
        name: fetched[name].read_bytes() == path.read_bytes() for name, path in (("small", small), ("large", large))
    }
    removed = store.remove([both.digest], [RECIPE])
    return {
        "same": same,
        "again": store.put({"small": small}).digest == one.digest,
        "cached": found is not None and found.cached and found.artifact == both,
        "unknown": store.lookup("sha256:" + "b" * 64),
        "papers": papers is not None and papers.provenance,
        "freed": removed.freed_bytes,
        "afterwards": [store.lookup(RECIPE), store.attestation(both.digest)],
        "shared": store.fetch(one.digest, scratch / "other")["small"].read_text(),
        "gone": failure(lambda: store.fetch(both.digest, scratch / "gone")),
    }


def failure(act: Callable[[], object]) -> list[Any]:
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        return ["succeeded", repr(act())]
    except DMSError as error:
        return [error.reason, error.retryable, str(error)]


def failures(scratch: Path, when: str) -> dict[str, list[Any]]:
    """How reading a model, writing an artifact, and looking for one end."""
    (scratch / "file").write_bytes(b"weights")
    bucket = "nowhere" if when == "no bucket" else "artifacts"
    return {
        "model": failure(lambda: fetch(f"s3://{bucket}/{when[:2]}.onnx", scratch / "model", (), 1 << 20)),
        "put": failure(lambda: open_store(f"s3://{bucket}/dms").put({"new": scratch / "file"})),
        "manifest": failure(lambda: open_store(f"s3://{bucket}/dms").manifest(RECIPE)),
    }


def main(scratch: Path) -> dict[str, Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true"}
    client = boto3.client("s3")
    client.create_bucket(Bucket="artifacts")
    client.put_object(Bucket="artifacts", Key="net.onnx", Body=b"model")
    found: dict[str, Any] = stored(scratch)
    found["digest"] = fetch("s3://artifacts/net.onnx", scratch / "net", (), 1 << 20)
    found["large"] = failure(lambda: fetch("s3://artifacts/net.onnx", scratch / "net", (), 2))
    found["no bucket"] = failures(scratch, "no bucket")
    for name in KEYS:
        del os.environ[name]
    found["no keys"] = failures(scratch, "no keys")
    os.environ |= KEYS
    server.stop()
    found["no server"] = failures(scratch, "no server")
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1])), default=str))
