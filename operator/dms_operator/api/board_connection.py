"""How a board hangs off its node: the value of the node's annotation `dms.edge/board-connection`.

    local                                  the node is the board (what no annotation means)
    ssh://[user@]host[:port]               OpenSSH; `jump=[user@]host[:port]`
    adb://serial                           Android's debug bridge; `server=host:port`, default the node's own, 5037

All take `python=` (the board's interpreter) and `workdir=` as query parameters: `ssh://root@10.0.0.7?workdir=/data/dms`.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

Kind = Literal["local", "ssh", "adb"]

CONNECTIONS_VARIABLE = "DMS_BOARD_CONNECTIONS"
"""On benchmark pods: JSON, name of each node with a connected board to the annotation's value."""
NODE_ADDRESS_VARIABLE = "DMS_NODE_ADDRESS"
"""On the same pods: the node's IP address, where its adb server is."""
CREDENTIALS_PATH = "/etc/dms/board"
"""Where a pod finds the keys of its own node's board, and no other's."""

ADB_PORT = 5037
SSH_PORT = 22

_HOST = r"(?:\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)"
_LOGIN = re.compile(rf"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_PATH = re.compile(r"[A-Za-z0-9./][A-Za-z0-9._/+-]{0,254}")
"""Plain names: they become words of shell commands and of ssh's configuration."""

_WORKDIRS: dict[Kind, str] = {"local": "", "ssh": ".cache/dms-board", "adb": "/data/local/tmp/dms-board"}


class InvalidConnection(ValueError):
    """The annotation does not say how to reach the board."""


@dataclass(frozen=True)
class Login:
    """Where an ssh server is; an empty user means ssh's own default."""

    host: str
    user: str = ""
    port: int = SSH_PORT

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}" + (f":{self.port}" if self.port != SSH_PORT else "")


@dataclass(frozen=True)
class Connection:
    """How a board is reached."""

    kind: Kind = "local"
    login: Login | None = None
    """Of ssh."""
    jump: Login | None = None
    serial: str = ""
    """Of adb."""
    server: str = ""
    """host:port of the adb server; empty: that of the node."""
    python: str = "python3"
    workdir: str = ""

    def __str__(self) -> str:
        if self.kind == "ssh":
            return f"ssh://{self.login}"
        return f"adb://{self.serial}" if self.kind == "adb" else "local"


def parse_connection(text: str) -> Connection:
    """Read an annotation. Raises InvalidConnection, whose message says what to write."""
    kind, _, rest = text.strip().partition("://")
    if kind == "local" and not rest:
        return Connection()
    address, _, query = rest.partition("?")
    options = _options(kind, query)
    if kind == "ssh":
        jump = _login(options.pop("jump"), "jump") if "jump" in options else None
        python, workdir = _common("ssh", options)
        return Connection("ssh", _login(address, "ssh://"), jump, python=python, workdir=workdir)
    if kind == "adb":
        if not _SERIAL.fullmatch(address):
            raise InvalidConnection(f"{address!r} is no serial of `adb devices`: write adb://<serial>")
        server = options.pop("server", "")
        if server and not _LOGIN.fullmatch(server):
            raise InvalidConnection(f"server={server} is no host:port")
        python, workdir = _common("adb", options)
        return Connection("adb", serial=address, server=server, python=python, workdir=workdir)
    raise InvalidConnection(f"{text[:100]!r} is none of local, ssh://[user@]host[:port], adb://<serial>")


def _options(kind: str, query: str) -> dict[str, str]:
    allowed = {"ssh": ("jump", "python", "workdir"), "adb": ("server", "python", "workdir")}.get(kind, ())
    try:
        options = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise InvalidConnection(f"{query!r} is not name=value&name=value") from error
    if unknown := sorted(set(options) - set(allowed)):
        raise InvalidConnection(f"{kind}:// knows no {', '.join(unknown)}: only {', '.join(allowed)}")
    return options


def _common(kind: Kind, options: dict[str, str]) -> tuple[str, str]:
    """Interpreter and working directory."""
    found = {"python": "python3", "workdir": _WORKDIRS[kind]} | options
    for name, value in found.items():
        if not _PATH.fullmatch(value) or ".." in value.split("/"):
            raise InvalidConnection(f"{name}={value} is no plain path")
    return found["python"], found["workdir"]


def _login(text: str, what: str) -> Login:
    found = _LOGIN.fullmatch(text)
    if found is None or not 0 < int(found["port"] or SSH_PORT) < 65536:
        raise InvalidConnection(f"{text!r} after {what} is not [user@]host[:port]")
    return Login(found["host"].strip("[]"), found["user"] or "", int(found["port"] or SSH_PORT))
