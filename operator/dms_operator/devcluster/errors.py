"""API errors: a Kubernetes `Status` with its HTTP code, in the real server's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster.schema.errors import FieldError

if TYPE_CHECKING:
    from dms_operator.devcluster.resources import ResourceInfo


class ApiError(Exception):
    """A refused request; `status` is the body that the API answers."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers: dict[str, str] = {}

    @property
    def status(self) -> dict[str, Any]:
        """The Status object."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


def success(info: ResourceInfo, name: str, uid: str) -> dict[str, Any]:
    """The Status that answers a completed deletion."""
    details = {**_about(info.group, info.plural, name), "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _about(group: str, kind: str, name: str) -> dict[str, Any]:
    named = {"name": name} if name else {}
    grouped = {"group": group} if group else {}
    return {**named, **grouped, "kind": kind}


def not_found(info: ResourceInfo, name: str) -> ApiError:
    """404 of an object."""
    details = _about(info.group, info.plural, name)
    return ApiError(404, "NotFound", f'{info.qualified} "{name}" not found', details)


def unknown_resource() -> ApiError:
    """404 of a path that names no resource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(info: ResourceInfo, name: str) -> ApiError:
    """409 of a create."""
    details = _about(info.group, info.plural, name)
    return ApiError(409, "AlreadyExists", f'{info.qualified} "{name}" already exists', details)


def stale(info: ResourceInfo, name: str) -> ApiError:
    """409 of an update that carries an old resourceVersion."""
    message = (
        f'Operation cannot be fulfilled on {info.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, _about(info.group, info.plural, name))


def precondition(info: ResourceInfo, name: str, message: str) -> ApiError:
    """409 of a precondition that does not hold."""
    text = f'Operation cannot be fulfilled on {info.qualified_kind} "{name}": {message}'
    return ApiError(409, "Conflict", text, _about(info.group, info.kind, name))


def invalid(info: ResourceInfo, name: str, errors: Sequence[FieldError], by_resource: bool = False) -> ApiError:
    """422 with its causes; `by_resource` names the plural instead of the kind, as one check really does."""
    kind = info.plural if by_resource else info.kind
    return invalid_kind(info.group, kind, name, errors)


def invalid_kind(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422 about an object of any kind; the message lists each distinct error once."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [{"reason": error.type, "message": error.message, "field": error.field} for error in errors]
    qualified = f"{kind}.{group}" if group else kind
    details = {**_about(group, kind, name), "causes": causes}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(info: ResourceInfo, name: str, message: str, causes: Sequence[FieldError] = ()) -> ApiError:
    """403."""
    details = _about(info.group, info.plural, name)
    if causes:
        details["causes"] = [{"reason": cause.type, "message": cause.message, "field": cause.field} for cause in causes]
    return ApiError(403, "Forbidden", f'{info.qualified} "{name}" is forbidden: {message}', details)


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415."""
    message = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", message + ", ".join(accepted))


def rejected_patch() -> ApiError:
    """422 of a JSON patch whose test failed or whose path is missing."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> ApiError:
    """409 of a server-side apply; `conflicts` are (manager, field path)."""
    noun = "conflict" if len(conflicts) == 1 else "conflicts"
    first, *others = conflicts
    listed = _by_manager(conflicts) if others else f' conflict with "{first[0]}": {first[1]}'
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": path}
        for manager, path in conflicts
    ]
    message = f"Apply failed with {len(conflicts)} {noun}:{listed}"
    return ApiError(409, "Conflict", message, {"causes": causes})


def _by_manager(conflicts: Sequence[tuple[str, str]]) -> str:
    managers = dict.fromkeys(manager for manager, _ in conflicts)
    blocks = [
        "\n".join([f'conflicts with "{name}":', *(f"- {path}" for manager, path in conflicts if manager == name)])
        for name in managers
    ]
    return " " + "\n".join(blocks)


def gone(message: str) -> ApiError:
    """410 of a revision that the log no longer holds."""
    return ApiError(410, "Expired", message)
