"""The API over HTTPS, on loopback only."""

from dms_operator.devcluster.server.logs import LogProvider
from dms_operator.devcluster.server.server import ApiServer

__all__ = ["ApiServer", "LogProvider"]
