"""Failures of the clients of object stores, which are no OSError, told as if a disk had failed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_BASES = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("aiohttp", "ClientError"),
)
"""What s3fs and gcsfs let through of the libraries below them (botocore/exceptions.py, google/auth/exceptions.py)."""
_WITHOUT_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")


def client_errors() -> tuple[type[Exception], ...]:
    """Errors of the clients that are in use: a module that is not loaded can have raised nothing."""
    loaded = ((sys.modules.get(module), name) for module, name in _BASES)
    return tuple(getattr(module, name) for module, name in loaded if module is not None)


@contextmanager
def told_as_os_errors() -> Iterator[None]:
    """Raise PermissionError for a client that has no credentials, ConnectionError for all else that it may say."""
    try:
        yield
    except OSError:
        raise
    except client_errors() as error:
        if type(error).__name__ in _WITHOUT_CREDENTIALS:
            raise PermissionError(f"the pod has no credentials: {error}") from error
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
