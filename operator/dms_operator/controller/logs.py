"""The operator's log on standard error."""

import logging
import sys

from ..api.log_lines import LogFormat, formatter

_QUIET = ("kopf", "aiohttp")
"""Loggers whose chatter below WARNING is of no use to an operator's owner."""


def configure_logging(style: LogFormat = "plain", *, verbose: bool = False) -> None:
    """Set up the root logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(style))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
