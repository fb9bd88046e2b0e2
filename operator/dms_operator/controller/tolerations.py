"""What pods put up with: the fields of Kubernetes' own tolerations, checked where they are written."""

from typing import Literal, Self

from pydantic import model_validator

from ..api.base import Model
from ..api.node_labels import LabelKey


class Toleration(Model):
    """A toleration of a stage pod."""

    key: LabelKey | None = None
    """The taint's key; absent: every taint."""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """How the value is compared; absent: Equal."""
    value: str | None = None
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; absent: every one."""
    toleration_seconds: int | None = None
    """How long a taint of effect NoExecute is put up with; absent: for ever."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists compares no value: remove it, or write Equal")
        if not self.key and self.operator != "Exists":
            raise ValueError("without a key every taint is meant, which needs operator Exists")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("tolerationSeconds needs effect NoExecute")
        return self
