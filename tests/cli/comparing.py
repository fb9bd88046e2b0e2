"""Deployments with given figures, for comparisons."""

from typing import Any

from dms_operator.cli.objects import Deployment, parse_deployment

DIGEST = "sha256:" + "0" * 64
ARTIFACT = {"digest": DIGEST, "sizeBytes": 1}


def accuracy(
    value: float = 0.98, low: float = 0.97, high: float = 0.99, samples: int = 1000, metric: str = "top1"
) -> dict[str, Any]:
    return {"metric": metric, "value": value, "low": low, "high": high, "samples": samples}


def latency(p50: float, bound: float | None, provenance: str, *, noisy: bool = False) -> dict[str, Any]:
    """Milliseconds."""
    given = {"bound": f"{bound:.3f}ms"} if bound is not None else {}
    return given | {
        "p50": f"{p50:.3f}ms",
        "provenance": provenance,
        "noisy": noisy,
        "source": "a test",
        "samples": 1000,
    }


def gate(name: str, outcome: str = "Pass", message: str = "as told") -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "message": message}


def tried(
    precision: str,
    latencies: list[dict[str, Any]],
    *,
    method: str = "static",
    drop: float = 0.0,
    power: str | None = None,
    gates: list[dict[str, Any]] | None = None,
    size: int = 1_200_000,
    seconds: float | None = None,
    score: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A precision that got as far as the benchmark; without latencies it only was quantized."""
    return locals()


def target(
    board: str, toolchain: str, *candidates: dict[str, Any], message: str = "", reason: str = ""
) -> dict[str, Any]:
    """A target and what was tried for it."""
    given = {"board": board, "toolchain": toolchain, "tries": candidates}
    return given | {"message": message, "reason": reason}


def deployment(
    *targets: dict[str, Any],
    name: str = "driver-monitor",
    model: str = "a",
    model_format: str = "pt2",
    fp32: dict[str, Any] | None = None,
    phase: str = "Ready",
) -> Deployment:
    """A deployment that came to its end."""
    variants = [_variant("fp32", "none", fp32 or accuracy(), 0.0, 4_000_000)]
    statuses = []
    for number, each in enumerate(targets):
        candidates = []
        for attempt in each["tries"]:
            label = f"{attempt['precision']}-{each['toolchain']}-{number}-{attempt['method']}"
            score = attempt["score"] or accuracy(0.98 - attempt["drop"])
            if attempt["precision"] == "fp32":
                label = "fp32"
            else:
                made = _variant(attempt["precision"], attempt["method"], score, attempt["drop"], 1_100_000)
                variants.append(made | {"name": label, "seconds": attempt["seconds"]})
            candidates.append(_candidate(label, attempt, each))
        statuses.append(_target(f"t{number}", each, candidates))
    spec_targets = [
        {"name": f"t{number}", "board": each["board"], "toolchain": each["toolchain"], "precisions": _precisions(each)}
        for number, each in enumerate(targets)
    ]
    return parse_deployment(
        {
            "kind": "DMSModelDeployment",
            "metadata": {"name": name, "namespace": "default", "uid": "1", "generation": 1},
            "spec": {
                "model": {"uri": "file:///models/net.pt2"},
                "dataset": {"uri": "file:///data/val.npz"},
                "targets": spec_targets,
                "artifacts": {"uri": "file:///artifacts"},
            },
            "status": {
                "observedGeneration": 1,
                "phase": phase,
                "model": _model(model, model_format),
                "variants": variants,
                "targets": statuses,
            },
        }
    )


def _precisions(each: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(attempt["precision"] for attempt in each["tries"])) or ["int8"]


def _model(model: str, model_format: str) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [1, 3], "dtype": "float32"}
    found = {"digest": "sha256:" + model * 64, "format": model_format, "inputs": [tensor], "outputs": [tensor]}
    return found | {"parameters": 1, "sizeBytes": 1, "recipe": DIGEST, "artifact": ARTIFACT}


def _variant(precision: str, method: str, score: dict[str, Any], drop: float, size: int) -> dict[str, Any]:
    made = {"name": precision, "precision": precision, "method": method, "scheme": "w8a8", "accuracy": score}
    return made | {"accuracyDrop": drop, "sizeBytes": size, "recipe": DIGEST, "artifact": ARTIFACT}


def _candidate(label: str, attempt: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    candidate: dict[str, Any] = {"variant": label, "gates": attempt["gates"] or [gate("accuracy"), gate("latency")]}
    if attempt["latencies"]:
        common = {"recipe": DIGEST, "artifact": ARTIFACT}
        compiled = {"toolchain": each["toolchain"], "toolVersion": "1", "soc": "X", "architecture": "y"}
        compiled |= {"delegation": {"npu": 1, "total": 1}, "sizeBytes": attempt["size"]}
        figures = {"latencies": attempt["latencies"], "reference": latency(9.0, 9.5, "host"), "node": "n"}
        power = (
            {"power": attempt["power"], "powerSource": "ina226", "powerProvenance": "measured"}
            if attempt["power"]
            else {"powerNote": "no meter"}
        )
        candidate |= {"compiled": compiled | common, "benchmark": figures | power | common}
    return candidate


def _target(name: str, each: dict[str, Any], candidates: list[dict[str, Any]]) -> dict[str, Any]:
    ready = any(candidate.get("benchmark") for candidate in candidates)
    common = {"name": name, "board": each["board"], "toolchain": each["toolchain"], "candidates": candidates}
    selected = {"variant": candidates[-1]["variant"]} if ready else {}
    return (
        common
        | selected
        | {"state": "Ready" if ready else "Failed", "message": each["message"]}
        | {"reason": each["reason"]}
    )
