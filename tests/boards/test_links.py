"""What the links' clients are told, and what their words mean: pure functions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.board_connection import Connection, InvalidConnection, Login, parse_connection
from dms_operator.api.errors import BoardRefused
from dms_operator.pipeline.links.adb import adb_link
from dms_operator.pipeline.links.link import LinkLost, shell
from dms_operator.pipeline.links.ssh import SshLink, ssh_config

KEY, HOSTS = Path("/scratch/ssh-privatekey"), Path("/scratch/known_hosts")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local", Connection()),
        ("ssh://10.0.0.7", Connection("ssh", Login("10.0.0.7"), workdir=".cache/dms-board")),
        (
            "ssh://root@board-3.lab:2222?jump=lab@bastion:2200&python=/usr/bin/python3.12&workdir=/data/dms",
            Connection(
                "ssh",
                Login("board-3.lab", "root", 2222),
                Login("bastion", "lab", 2200),
                python="/usr/bin/python3.12",
                workdir="/data/dms",
            ),
        ),
        ("ssh://root@[fe80::1%eth0]", Connection("ssh", Login("fe80::1%eth0", "root"), workdir=".cache/dms-board")),
        ("adb://4f2a11", Connection("adb", serial="4f2a11", workdir="/data/local/tmp/dms-board")),
        (
            "adb://192.168.1.5:5555?server=10.0.0.9:5038",
            Connection("adb", serial="192.168.1.5:5555", server="10.0.0.9:5038", workdir="/data/local/tmp/dms-board"),
        ),
    ],
)
def test_the_annotation_says_how_the_board_is_reached(text: str, expected: Connection) -> None:
    assert parse_connection(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "none of local, ssh://"),
        ("telnet://board", "none of local, ssh://"),
        ("ssh://", r"'' after ssh:// is not \[user@\]host"),
        ("ssh://-oProxyCommand=sh", "after ssh://"),
        ("ssh://root@host;reboot", "after ssh://"),
        ("ssh://host:99999", "after ssh://"),
        ("ssh://host?jump=-oX", "after jump"),
        ("ssh://host?password=secret", "ssh:// knows no password: only jump, python, workdir"),
        ("ssh://host?workdir=/tmp/../etc", "workdir=/tmp/../etc is no plain path"),
        ("ssh://host?python=python3;id", "python=python3;id is no plain path"),
        ("ssh://host?python", "is not name=value"),
        ("adb://", "no serial"),
        ("adb://a b", "no serial"),
        ("adb://x?server=;", "is no host:port"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(InvalidConnection, match=complaint):
        parse_connection(text)


@given(st.text(max_size=60))
def test_no_text_gets_a_word_past_the_parser_that_ssh_or_a_shell_would_act_upon(text: str) -> None:
    for scheme in ("ssh://", "adb://"):
        try:
            found = parse_connection(scheme + text)
        except InvalidConnection:
            continue
        words = [found.python, found.workdir, found.serial, found.server]
        words += [part for login in (found.login, found.jump) if login for part in (login.host, login.user)]
        assert not any(set(word) & set(" \t\r\n;|&$`'\"\\<>(){}*?!#~=") for word in words)
        assert not any(word.startswith("-") for word in words)


def test_ssh_asks_nobody_and_trusts_the_pinned_host_key_alone() -> None:
    config = ssh_config(Login("10.0.0.7", "root", 2222), Login("bastion", "lab", 2200), KEY, HOSTS)
    board, everywhere = config.split("Host *\n")
    assert board.splitlines() == [
        "Host board", "  HostName 10.0.0.7", "  Port 2222", "  User root", "  ProxyJump lab@bastion:2200",
    ]  # fmt: skip
    for line in (
        "BatchMode yes", "StrictHostKeyChecking yes", 'UserKnownHostsFile "/scratch/known_hosts"',
        "GlobalKnownHostsFile /dev/null", 'IdentityFile "/scratch/ssh-privatekey"', "IdentitiesOnly yes",
        "IdentityAgent none", "ForwardAgent no", "ServerAliveInterval 5", "ServerAliveCountMax 3",
    ):  # fmt: skip
        assert f"  {line}\n" in everywhere, "a jump host is held to the same"


def test_ssh_is_told_one_configuration_and_one_command() -> None:
    link = SshLink("ssh://x", Path("/scratch/ssh_config"))
    command = link.command(shell(["python3", "runner.pyz", "serve", "/data/a b"]))
    assert command == ["ssh", "-F", "/scratch/ssh_config", "-T", "board", "python3 runner.pyz serve '/data/a b'"]


def test_adb_talks_to_the_server_of_the_node_unless_told_another() -> None:
    own = adb_link(parse_connection("adb://4f2a11"), "10.0.0.4")
    assert own.command("ls") == ["adb", "-H", "10.0.0.4", "-P", "5037", "-s", "4f2a11", "shell", "-T", "ls"]
    assert own.push_command("/data/x") == ["adb", "-H", "10.0.0.4", "-P", "5037", "-s", "4f2a11", "push", "/data/x"]
    other = adb_link(parse_connection("adb://4f2a11?server=lab:5038"), "10.0.0.4")
    assert other.command("ls")[:5] == ["adb", "-H", "lab", "-P", "5038"]


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (1, "whatever the board's command said", type(None)),
        (127, "sh: python3: not found", type(None)),
        (255, "ssh: connect to host 10.0.0.7 port 22: No route to host", LinkLost),
        (255, "Timeout, server 10.0.0.7 not responding.", LinkLost),
        (255, "Connection closed by 10.0.0.7 port 22", LinkLost),
        (255, "", LinkLost),
        (255, "Host key verification failed.", BoardRefused),
        (255, "root@10.0.0.7: Permission denied (publickey).", BoardRefused),
        (255, 'Load key "/scratch/ssh-privatekey": error in libcrypto', BoardRefused),
    ],
)
def test_only_what_no_retry_can_mend_is_refused(code: int, words: str, kind: type) -> None:
    assert type(SshLink("ssh://x", Path("c")).verdict(code, words)) is kind
