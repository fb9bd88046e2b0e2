"""A stage pod that speaks the stage contract with figures out of thin air. Standard library only: it starts fast.

What it does is decided by `behaviour.json` in the directory FAKE_STAGE_CONTROL, looked up under
`<deployment>/<stage>/<node>`, `<deployment>/<stage>/<target>`, `<deployment>/<stage>/<calibration>`,
`<deployment>/<stage>` and `<stage>`:
  {"hold": "<file>"}       wait until that file lies in the control directory
  {"failure": {...}}       answer with that failure (exit code 10 unless it is retryable)
  {"crash": <times>}       exit with code 1 and no answer, so many times
  {"facts": {...}}         fields of the facts to replace
  {"spares": "<revision>"} none of it for this revision
Stages on vehicles keep folders and links as the real ones do, so that a test sees what lies on which vehicle.
Every start and end is appended to `runs.log` there, so that a test can tell what ran, how often and beside what.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

CONTROL = Path(os.environ["FAKE_STAGE_CONTROL"])
SANDBOX = os.environ.get("CONTAINER_SANDBOX_MOUNT_POINT", "")
TERMINAL = 10


def digest_of(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def behaviour(request: dict[str, Any]) -> dict[str, Any]:
    path = CONTROL / "behaviour.json"
    table: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    deployment, stage = request["deployment"].split("/")[1], request["recipe"]["stage"]
    places = (request["recipe"].get("node"), request.get("target"), request["recipe"].get("calibration"))
    keys = (*(f"{deployment}/{stage}/{place}" for place in places), f"{deployment}/{stage}", stage)
    found: dict[str, Any] = next((table[key] for key in keys if key in table), {})
    return {} if found.get("spares", "") == request["recipe"].get("revision") else found


def record(event: str, request: dict[str, Any]) -> None:
    recipe = request["recipe"]
    line = {
        "event": event,
        "deployment": request["deployment"],
        "stage": recipe["stage"],
        "target": request.get("target"),
        "board": recipe.get("board"),
        "node": recipe.get("node"),
        "revision": recipe.get("revision"),
        "recipe": digest_of(recipe),
        "pid": os.getpid(),
    }
    log = os.open(CONTROL / "runs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{json.dumps(line)}\n".encode())
    os.close(log)


def accuracy(value: float, samples: int) -> dict[str, Any]:
    return {"metric": "top1", "value": value, "low": value - 0.01, "high": value + 0.01, "samples": samples}


def on_vehicle(recipe: dict[str, Any]) -> dict[str, Any]:
    """Do to the vehicle's folder what the real stage does, and tell of it."""
    folder = Path(SANDBOX + os.environ["DMS_FLEET_FOLDER"], recipe["node"], *recipe["deployment"].split("/"))
    current, wanted = folder / "current", recipe["revision"]
    before = current.readlink().name if current.is_symlink() else None
    match recipe["stage"]:
        case "prefetch":
            (folder / "revisions" / wanted).mkdir(parents=True, exist_ok=True)
            return {"node": recipe["node"], "revision": wanted, "sizeBytes": 2000}
        case "activate":
            if not (folder / "revisions" / wanted).is_dir():
                raise FileNotFoundError(f"{wanted} was not prefetched")
            fresh = folder / f"current.{os.getpid()}"
            fresh.symlink_to(f"revisions/{wanted}")
            fresh.rename(current)
            smoke = {"smokeLatency": "0.4ms", "smokeProvenance": "host", "deviation": 0.001, "tolerance": 0.01}
            return {"node": recipe["node"], "revision": wanted, "previous": before, "sizeBytes": 2000, **smoke}
        case _:
            if before in (None, wanted):
                shutil.rmtree(folder, ignore_errors=True)
            return {"node": recipe["node"], "revision": None if before == wanted else before, "previous": before}


def facts(recipe: dict[str, Any]) -> dict[str, Any]:
    match recipe["stage"]:
        case "prefetch" | "activate" | "deactivate":
            return {"vehicle": on_vehicle(recipe)}
        case "resolve":
            tensor = {"name": "frames", "shape": [1, 3, 8, 8], "dtype": "float32"}
            return {
                "model": {
                    "digest": digest_of(recipe["modelUri"]),
                    "format": "onnx",
                    "inputs": [tensor],
                    "outputs": [tensor],
                    "parameters": 1000,
                    "sizeBytes": 4000,
                    "datasetSamples": 1256,
                    "classes": 6,
                }
            }
        case "quantize":
            drop = 0.0 if recipe["precision"] == "fp32" else 0.002
            made = {key: recipe[key] for key in ("precision", "method", "calibration") if key in recipe}
            score = accuracy(0.98 - drop, 1000)
            interval = {"low": 0.0004, "high": 0.0063, "lost": 2, "gained": 0}
            scored = {"accuracy": score, "accuracyDrop": drop, "dropInterval": interval}
            return {"variant": {**made, **scored, "scheme": "w8a8", "sizeBytes": 1000}}
        case "convert":
            chip = {"soc": "SA8255", "architecture": "v73", "toolVersion": "0", "toolchain": recipe["toolchain"]}
            return {"compiled": {**chip, "delegation": {"npu": 10, "total": 10}, "sizeBytes": 2000}}
        case _:
            latency = {"provenance": "simulated", "p50": "0.400ms", "bound": "0.430ms", "source": "fake stage"}
            return {
                "benchmark": {
                    "latencies": [latency],
                    "throughput": 2500.0,
                    "accuracyOnTarget": accuracy(0.98, 16),
                    "accuracyOnTargetDrop": 0.0,
                    "accuracyProvenance": "simulated",
                }
            }


def crashes(request: dict[str, Any], times: int) -> bool:
    marks = [CONTROL / f"crash-{digest_of(request['recipe'])[7:19]}-{number}" for number in range(times)]
    for mark in marks:
        if not mark.exists():
            mark.touch()
            return True
    return False


def answer(request: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    recipe = request["recipe"]
    result = {"stage": recipe["stage"], "recipe": digest_of(recipe), "seconds": 0.1, "cached": False}
    if "failure" in wanted:
        return {**result, "failure": wanted["failure"]}
    ((kind, found),) = facts(recipe).items()
    answered = {**result, kind: {**found, **wanted.get("facts", {})}}
    if kind == "vehicle":
        return answered
    return {**answered, "artifact": {"digest": digest_of(["artifact", recipe]), "sizeBytes": 1000}}


def main() -> int:
    request = json.loads(os.environ["DMS_REQUEST"])
    record("start", request)
    wanted = behaviour(request)
    while "hold" in wanted and not (CONTROL / wanted["hold"]).exists():
        time.sleep(0.05)
    if crashes(request, wanted.get("crash", 0)):
        return 1
    result = answer(request, wanted)
    Path(f"{SANDBOX}/dev/termination-log").write_text(json.dumps(result))
    record("end", request)
    failure = result.get("failure")
    return 0 if failure is None else 1 if failure["retryable"] else TERMINAL


if __name__ == "__main__":
    sys.exit(main())
