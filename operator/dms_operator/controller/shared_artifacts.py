"""Which artifacts of a deployment others need, too.

Asked for each deployment that takes its artifacts along, of all others that there are. So nothing is read: stores are
compared by tag, and digests are looked for in the text that the caches hold.
"""

import re

from ..api.labels import DELETE_ARTIFACTS, FINALIZER
from .object_cache import ObjectCache, ObjectName, Raw, json_text

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")


def store_needed(body: Raw) -> str:
    """The store that a deployment's artifacts are to stay in; empty when they go with it, or when it names none."""
    return "" if _takes_all_along(body) else _store(body)


def used_by_others(body: Raw, deployments: ObjectCache, jobs: ObjectCache) -> frozenset[str]:
    """The digests of a deployment's status that others of the same store name anywhere, or that their Jobs work on.

    `deployments` are tagged by `store_needed`: those that are being removed in the same way do not count.
    """
    store, digests = _store(body), set(_DIGEST.findall(json_text(body.get("status") or {})))
    if not store or not digests:
        return frozenset()
    used, any_of_them = set[bytes](), re.compile(b"|".join(digests))
    for other in deployments.tagged(store):
        if other != ObjectName.of(body):
            texts = deployments.text(other), *jobs.texts_owned_by(deployments.uid(other))
            used.update(digest for text in texts for digest in any_of_them.findall(text))
    return frozenset(digest.decode() for digest in used)


def _store(body: Raw) -> str:
    uri = ((body.get("spec") or {}).get("artifacts") or {}).get("uri") or ""
    return str(uri).replace("file://localhost/", "file:///").rstrip("/")


def _takes_all_along(body: Raw) -> bool:
    metadata = body["metadata"]
    asked = (metadata.get("annotations") or {}).get(DELETE_ARTIFACTS) == "true"
    return asked and "deletionTimestamp" in metadata and FINALIZER in (metadata.get("finalizers") or [])
