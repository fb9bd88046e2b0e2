"""Errors as the real server, or what stands before it, words them."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.faults.rules import Ask, Refuse

_WORDS = {  # k8s.io/apimachinery/pkg/api/errors
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden: injected fault"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    410: ("Expired", "The resourceVersion for the provided list or watch is too old."),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "too many requests, please try again later"),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    502: ("", "an error on the server has prevented the request from succeeding"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


def refusal(fault: Refuse, ask: Ask) -> ApiError:
    """The error to answer."""
    reason, message = _WORDS[fault.code]
    if fault.code == 409:
        message = f'Operation cannot be fulfilled on {ask.resource} "{ask.name}": {message}'
    details: dict[str, Any] = {"name": ask.name} if ask.name else {}
    if fault.retry_after is not None:
        details["retryAfterSeconds"] = fault.retry_after
    error = ApiError(fault.code, reason, message, details or None)
    if fault.retry_after is not None:
        error.headers["Retry-After"] = str(fault.retry_after)
    return error
