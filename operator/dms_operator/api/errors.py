"""Errors in the domain's words. Whether to retry is decided here, where they are named."""

from typing import ClassVar

TERMINAL_EXIT_CODE = 10
"""Exit code of a stage pod for an error that no retry can mend (podFailurePolicy: FailJob)."""


class DMSError(Exception):
    """An error for the user: `reason` (CamelCase, stable), what happened, and what to change."""

    reason: ClassVar[str] = "InternalError"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.message = message
        self.hint = hint


class Retryable(DMSError):
    """Infrastructure failed; the same request may succeed later."""


class Terminal(DMSError):
    """The request itself cannot succeed; nothing changes until the user changes something."""

    retryable: ClassVar[bool] = False


class InvalidSpec(Terminal):
    """The spec passed an older CRD's admission, but not today's rules."""

    reason: ClassVar[str] = "InvalidSpec"


class SourceNotFound(Terminal):
    """Nothing is stored at a URI."""

    reason: ClassVar[str] = "SourceNotFound"


class SourceRefused(Terminal):
    """A URI that we do not open: unknown scheme, path traversal, outside the allowed roots, or no permission."""

    reason: ClassVar[str] = "SourceRefused"


class SourceUnavailable(Retryable):
    """The server behind a URI did not answer."""

    reason: ClassVar[str] = "SourceUnavailable"


class DigestMismatch(Terminal):
    """Bytes differ from the digest that was pinned or recorded."""

    reason: ClassVar[str] = "DigestMismatch"


class ModelInvalid(Terminal):
    """The model cannot be read, is unsafe to read, or holds values that no stage can use."""

    reason: ClassVar[str] = "ModelInvalid"


class ModelShapeMismatch(Terminal):
    """Declared inputs differ from the model's, or are not static."""

    reason: ClassVar[str] = "ModelShapeMismatch"


class DatasetInvalid(Terminal):
    """The dataset cannot be read, or does not fit the model or the metric."""

    reason: ClassVar[str] = "DatasetInvalid"


class QuantizationFailed(Terminal):
    """The model cannot be quantized by the requested recipe."""

    reason: ClassVar[str] = "QuantizationFailed"


class UnsupportedOperators(Terminal):
    """Nodes that the NPU refuses; a model that would quietly run on the CPU stops here."""

    reason: ClassVar[str] = "UnsupportedOperators"


class ConversionFailed(Terminal):
    """The vendor's compiler refused the model."""

    reason: ClassVar[str] = "ConversionFailed"


class ConverterKilled(Retryable):
    """The vendor's compiler or simulator was killed from outside, mostly for want of memory."""

    reason: ClassVar[str] = "ConverterKilled"


class WrongTarget(Terminal):
    """The compiled artifact is not bound to the SoC that was asked for."""

    reason: ClassVar[str] = "WrongTarget"


class ToolchainUnavailable(Terminal):
    """The toolchain is not installed in the image that runs the stage."""

    reason: ClassVar[str] = "ToolchainUnavailable"


class SignatureInvalid(Terminal):
    """An artifact is not signed by the key that the operator's settings trust."""

    reason: ClassVar[str] = "SignatureInvalid"


class SigningUnavailable(Terminal):
    """Signing is asked for, but the key or the library that signs is missing."""

    reason: ClassVar[str] = "SigningUnavailable"


class ArtifactMissing(Retryable):
    """An artifact that an earlier stage wrote is gone from the store."""

    reason: ClassVar[str] = "ArtifactMissing"


class StoreUnwritable(Terminal):
    """The artifact store is read-only."""

    reason: ClassVar[str] = "StoreUnwritable"


class StoreFull(Retryable):
    """No space is left in the artifact store or in the pod's scratch space."""

    reason: ClassVar[str] = "StoreFull"


class StoreUnavailable(Retryable):
    """The artifact store did not answer."""

    reason: ClassVar[str] = "StoreUnavailable"


class BoardUnreachable(Retryable):
    """The link to a connected board is lost, or was never there: infrastructure, which says nothing about the model."""

    reason: ClassVar[str] = "BoardUnreachable"


class BoardBusy(Retryable):
    """Somebody else's benchmark runs on a connected board."""

    reason: ClassVar[str] = "BoardBusy"


class BoardRunFailed(Retryable):
    """The runner on a connected board ended without an answer, such as for want of memory."""

    reason: ClassVar[str] = "BoardRunFailed"


class BoardRefused(Terminal):
    """A connected board does not let us in, is not the one whose key we know, or is described wrongly."""

    reason: ClassVar[str] = "BoardRefused"


class WrongVehicle(Terminal):
    """A stage for one vehicle was started on another one."""

    reason: ClassVar[str] = "WrongVehicle"


class VehicleFolderUnusable(Terminal):
    """The folder that outlives the pods on a vehicle is missing, not writable, or holds what is not ours."""

    reason: ClassVar[str] = "VehicleFolderUnusable"


class VehicleFull(Retryable):
    """No space is left for a revision on the vehicle's disk."""

    reason: ClassVar[str] = "VehicleFull"


class VehicleBusy(Retryable):
    """Another pod works on the same deployment's folder on the vehicle."""

    reason: ClassVar[str] = "VehicleBusy"


class NotPrefetched(Terminal):
    """The revision does not lie on the vehicle's disk, or is not what was asked for."""

    reason: ClassVar[str] = "NotPrefetched"


class NotDeployable(Terminal):
    """The compiled artifact holds nothing that a vehicle could load, such as an estimate."""

    reason: ClassVar[str] = "NotDeployable"


class GoldenMissing(Terminal):
    """The benchmark's artifact holds no golden outputs, so that no vehicle can prove what it computes."""

    reason: ClassVar[str] = "GoldenMissing"


class GoldenMismatch(Terminal):
    """A vehicle computes something else than the benchmark saw."""

    reason: ClassVar[str] = "GoldenMismatch"


class SmokeRunFailed(Retryable):
    """The process that tries a model out on a vehicle ended without an answer: killed, crashed, hung or refused."""

    reason: ClassVar[str] = "SmokeRunFailed"
