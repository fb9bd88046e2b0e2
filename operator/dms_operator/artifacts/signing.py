"""Signatures of artifacts by OpenSSF model-signing with an elliptic-curve key: `model_signing verify key` checks them.

model-signing is imported only where a key is set (extra `attest`).
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..api.errors import SignatureInvalid, SigningUnavailable
from .attestation import Attestation, lay_out
from .paths import sandboxed

SIGNING_KEY_VARIABLE = "DMS_SIGNING_KEY"
"""Environment of stage pods that write artifacts: file with the private key (PEM, P-256 or larger, no passphrase)."""
VERIFICATION_KEY_VARIABLE = "DMS_VERIFICATION_KEY"
"""Environment of stage pods: file with the public key (PEM). When it is set, nothing unsigned is used."""
KEY_VARIABLES = (SIGNING_KEY_VARIABLE, VERIFICATION_KEY_VARIABLE)


@dataclass(frozen=True)
class Keys:
    """The keys that this pod has; with neither nothing is signed or checked."""

    private: Path | None = None
    public: Path | None = None

    @property
    def signer(self) -> str | None:
        """Name of the public key. Raises SigningUnavailable."""
        return key_name(self.public) if self.public else None

    def sign(self, files: Mapping[str, Path], attestation: Attestation, scratch: Path) -> Attestation:
        """The attestation with a signature; as it is without a private key. Raises SigningUnavailable."""
        if self.private is None:
            return attestation
        signing, _ = _library()
        with tempfile.TemporaryDirectory(dir=scratch) as directory:
            tree = lay_out(files, attestation, Path(directory) / "artifact")
            signature = Path(directory) / "model.sig"
            try:
                signing.Config().use_elliptic_key_signer(private_key=self.private).sign(tree, signature)
            except (ValueError, TypeError, OSError) as error:
                raise SigningUnavailable(f"the signing key cannot be used: {error}", hint=_KEY_HINT) from error
            bundle: dict[str, Any] = json.loads(signature.read_text())
        return attestation.model_copy(update={"signature": bundle})

    def verify(self, digest: str, files: Mapping[str, Path], attestation: Attestation | None, scratch: Path) -> None:
        """Check that our key signed exactly these files and documents; nothing without a public key.

        Raises SignatureInvalid, SigningUnavailable.
        """
        if self.public is None:
            return
        if attestation is None or attestation.signature is None:
            raise SignatureInvalid(f"artifact {digest} is not signed", hint=_UNSIGNED_HINT)
        _, verifying = _library()
        with tempfile.TemporaryDirectory(dir=scratch) as directory:
            tree = lay_out(files, attestation, Path(directory) / "artifact")
            signature = Path(directory) / "model.sig"
            signature.write_text(json.dumps(attestation.signature))
            try:
                verifying.Config().use_elliptic_key_verifier(public_key=self.public).verify(tree, signature)
            except Exception as error:  # the library names no class of its own: whatever it is, the check failed
                message = f"the signature of artifact {digest} does not hold: {error}"
                raise SignatureInvalid(message, hint=_FORGED_HINT) from error

    def trusts(self, attestation: Attestation | None) -> bool:
        """Whether a signature claims to be by our key, which is enough to look no further for a cached result."""
        if self.public is None:
            return True
        return attestation is not None and _claimed(attestation) == self.signer


_KEY_HINT = "Give settings.signing a Secret with an unencrypted elliptic-curve key in PEM"
_FORGED_HINT = "Find out who wrote it to the store before you delete it"
_UNSIGNED_HINT = "It was made before signing was turned on: give the deployment a new dms.edge/retry to make it anew"


def keys_of_environment() -> Keys:
    """The keys whose files the environment names. Raises SigningUnavailable when one is named but not there."""
    return Keys(_named(SIGNING_KEY_VARIABLE), _named(VERIFICATION_KEY_VARIABLE))


def key_name(public: Path) -> str:
    """SHA-256 of a public key, hex, as model-signing writes it into its signatures. Raises SigningUnavailable."""
    try:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

        key = load_pem_public_key(public.read_bytes())
    except (ImportError, ValueError, OSError) as error:
        raise SigningUnavailable(f"the verification key cannot be used: {error}", hint=_KEY_HINT) from error
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _library() -> tuple[ModuleType, ModuleType]:
    try:
        from model_signing import signing, verifying
    except ImportError as error:
        message = f"a key is set, but model-signing is not installed ({error.name})"
        raise SigningUnavailable(message, hint="Add the extra attest to the stage's image") from error
    return signing, verifying


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    if not value:
        return None
    path = sandboxed(value)
    if not path.is_file():
        raise SigningUnavailable(f"{variable} names {value}, which is not there", hint=_KEY_HINT)
    return path


def _claimed(attestation: Attestation) -> str | None:
    material = (attestation.signature or {}).get("verificationMaterial") or {}
    return (material.get("publicKey") or {}).get("hint")
