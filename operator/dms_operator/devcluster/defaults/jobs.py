"""Jobs: defaults, generated selector and labels, immutability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dms_operator.devcluster.defaults.pod_security import warn
from dms_operator.devcluster.defaults.pod_spec import default_pod_spec
from dms_operator.devcluster.defaults.strategy import Object, Strategy, setdefaults
from dms_operator.devcluster.schema.errors import FieldError, invalid, required, unsupported

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

_PREFIX = "batch.kubernetes.io/"
_FIXED = ("completions", "selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex")


class JobStrategy(Strategy):
    """A job's template and selector are fixed; labels tie its pods to it."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Defaults, selector and labels (pkg/registry/batch/job/strategy.go generateSelector)."""
        spec = obj.setdefault("spec", {})
        self._default(spec)
        if not spec["manualSelector"]:
            labels = _labels(obj["metadata"])
            metadata = spec["template"].setdefault("metadata", {})
            metadata["labels"] = {**metadata.get("labels", {}), **labels}
            controller = _PREFIX + "controller-uid"
            spec["selector"] = {"matchLabels": {controller: labels[controller]}}
        template_labels = spec["template"].get("metadata", {}).get("labels", {})
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(template_labels)  # defaulting copies the template's labels
        obj["status"] = {}

    def admit(self, obj: dict[str, Any], registry: Registry, warnings: list[str]) -> None:
        """Pod Security only warns about templates."""
        warn(obj["spec"]["template"].get("spec", {}), obj["metadata"]["namespace"], registry, warnings)

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Defaults again."""
        self._default(new["spec"])

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """Restart policy and containers; the fixed fields did not change."""
        spec = new["spec"]
        if old is not None:
            return _changes(spec, old["spec"])
        template = spec["template"].get("spec", {})
        errors = [] if template.get("containers") else [required("spec.template.spec.containers")]
        policy = template.get("restartPolicy")
        if policy not in ("OnFailure", "Never"):
            field = "spec.template.spec.restartPolicy"
            if policy == "Always":
                detail = 'Required value: valid values: "OnFailure", "Never"'
                errors.append(FieldError(field, "FieldValueRequired", detail))
            else:
                errors.append(unsupported(field, policy, ("OnFailure", "Never")))
        return errors

    def _default(self, spec: dict[str, Any]) -> None:
        if "completions" not in spec and "parallelism" not in spec:
            spec["completions"] = 1
        setdefaults(
            spec,
            parallelism=1,
            backoffLimit=6,
            manualSelector=False,
            completionMode="NonIndexed",
            suspend=False,
            podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
        )
        for rule in (spec.get("podFailurePolicy") or {}).get("rules", ()):
            for pattern in rule.get("onPodConditions", ()):
                pattern.setdefault("status", "True")
        default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _labels(metadata: Object) -> dict[str, str]:
    uid, name = metadata["uid"], metadata.get("name", "")
    return {
        _PREFIX + "controller-uid": uid,
        _PREFIX + "job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }


def _changes(spec: Object, before: Object) -> list[FieldError]:
    fixed = [name for name in _FIXED if spec.get(name) != before.get(name)]
    if "template" in fixed and before.get("suspend") and _unscheduled(spec) == _unscheduled(before):
        fixed.remove("template")  # scheduling directives of a suspended job may change
    return [invalid(f"spec.{name}", spec.get(name), "field is immutable") for name in fixed]


def _unscheduled(spec: Object) -> Object:
    template = spec["template"]
    metadata = {k: v for k, v in template.get("metadata", {}).items() if k not in ("labels", "annotations")}
    directives = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    pod = {name: value for name, value in template["spec"].items() if name not in directives}
    return {"metadata": metadata, "spec": pod}
