"""Boards by OpenSSH's own client: jump hosts, pinned host keys, and twenty years of other people's care.

What the client is told stands in a configuration of its own, so that a jump host gets the same keys and the same
strictness; the user's and the system's configuration are not read.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...api.board_connection import Connection, Login
from ...api.errors import BoardRefused
from .link import LinkLost, last_line

KEY, KNOWN_HOSTS = "ssh-privatekey", "known_hosts"
"""Keys of the Secret: the first is that of Kubernetes' own type kubernetes.io/ssh-auth."""

ALIAS = "board"
FAILED = 255
"""OpenSSH's exit code when ssh itself, not the command, has failed (ssh(1), EXIT STATUS)."""

_REFUSALS = {
    "Host key verification failed": "the board's host key is not the one in known_hosts. If the board was installed "
    "anew, replace known_hosts in its Secret by what ssh-keyscan prints now",
    "Permission denied": "the board does not accept the key. Put the public key into its authorized_keys",
    "Load key": "the private key cannot be used. Put an unencrypted private key into ssh-privatekey of the Secret",
    "Too many authentication failures": "the board does not accept the key. Put the public key into its "
    "authorized_keys",
}


@dataclass(frozen=True)
class SshLink:
    """One board."""

    name: str
    config: Path
    """Made by `ssh_link`."""

    def command(self, remote: str) -> list[str]:
        """As Link says."""
        return ["ssh", "-F", str(self.config), "-T", ALIAS, remote]

    def push_command(self, remote: str) -> list[str] | None:
        """None: many boards have no sftp-server, every board has cat."""
        return None

    def verdict(self, code: int, errors: str) -> Exception | None:
        """As Link says."""
        if code != FAILED:
            return None
        for words, meaning in _REFUSALS.items():
            if words in errors:
                return BoardRefused(f"{self.name}: {meaning} (ssh says: {last_line(errors)})")
        return LinkLost(last_line(errors) or "ssh ended without a word")


def ssh_link(connection: Connection, credentials: Path, scratch: Path) -> SshLink:
    """Write the client's files into a scratch directory. Raises BoardRefused when the Secret lacks a key."""
    assert connection.login
    for name in (KEY, KNOWN_HOSTS):
        if not (credentials / name).is_file():
            raise BoardRefused(
                f"{connection}: no {name} in the board's Secret",
                hint="Annotate the node with dms.edge/board-secret, and create that Secret in the deployment's "
                "namespace with ssh-privatekey and known_hosts",
            )
        shutil.copyfile(credentials / name, scratch / name)
        # OpenSSH refuses a private key that others may read, and Secret volumes are readable by group
        (scratch / name).chmod(0o600)
    config = scratch / "ssh_config"
    config.write_text(ssh_config(connection.login, connection.jump, scratch / KEY, scratch / KNOWN_HOSTS))
    return SshLink(str(connection), config)


def ssh_config(login: Login, jump: Login | None, key: Path, known_hosts: Path) -> str:
    """Configuration of the client (ssh_config(5)): nothing is asked, only the pinned host key is trusted."""
    board = {"HostName": login.host, "Port": login.port, "User": login.user, "ProxyJump": _jump(jump)}
    everywhere = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{known_hosts}"',
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "IdentityFile": f'"{key}"',
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "ControlMaster": "no",
        "RequestTTY": "no",
        "ConnectTimeout": 15,
        # a dead link is noticed after 15 s
        "ServerAliveInterval": 5,
        "ServerAliveCountMax": 3,
        "LogLevel": "ERROR",
    }
    lines = [f"Host {ALIAS}", *(f"  {name} {value}" for name, value in board.items() if value)]
    return "\n".join([*lines, "Host *", *(f"  {name} {value}" for name, value in everywhere.items())]) + "\n"


def _jump(jump: Login | None) -> str:
    if jump is None:
        return ""
    host = f"[{jump.host}]" if ":" in jump.host else jump.host
    return f"{jump.user}@{host}:{jump.port}" if jump.user else f"{host}:{jump.port}"
