"""A real OpenSSH server on a loopback port, run by whoever runs the tests: own host key, own configuration, own home.

Debian's packages are taken from the system, or downloaded and unpacked; nothing is installed. sshd asks the system for
the user's home and for its own user, so nss_wrapper answers: a container's root and a nameless uid work as well.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PACKAGES = ("openssh-server", "libwrap0", "libnss-wrapper")
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""Where sshd locks itself up when root runs it (sshd(8), FILES)."""


def unpacked(cache: Path) -> Path:
    """Directory with the server's files; made once."""
    done = cache / "unpacked"
    if done.exists():
        return done
    unfinished = cache / f"unfinished-{os.getpid()}"
    unfinished.mkdir(parents=True)
    try:
        command = ["apt-get", "download", "-q", *PACKAGES]
        subprocess.run(command, cwd=unfinished, check=True, capture_output=True, text=True, timeout=120)
        for package in unfinished.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, unfinished], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", "") or str(error)
        pytest.fail(f"no sshd for the tests of ssh boards: apt-get download {' '.join(PACKAGES)} says: {words}")
    with contextlib.suppress(OSError):
        unfinished.rename(done)
    return done


class SshServer:
    """One server; `connection` and `credentials` are what a user would give for a board behind it."""

    def __init__(self, files: Path, directory: Path) -> None:
        if shutil.which("ssh") is None:
            pytest.fail("no ssh for the tests of ssh boards: apt-get install openssh-client")
        self._files, self._directory = files, directory
        self.home = directory / "home"
        self.credentials = directory / "credentials"
        self.log = directory / "sshd.log"
        for path in (self.home, self.credentials):
            path.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._write()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def workdir(self) -> Path:
        """Where runners work on this board."""
        return self.home / "dms-board"

    @property
    def connection(self) -> str:
        """The node's annotation."""
        return f"ssh://{self._user}@127.0.0.1:{self.port}?python={sys.executable}&workdir={self.workdir}"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        library = next(self._files.rglob("libwrap.so.0")).parent
        wrapper = next(self._files.rglob("libnss_wrapper.so"))
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "LD_PRELOAD": str(wrapper),
            "NSS_WRAPPER_PASSWD": str(self._directory / "passwd"),
            "NSS_WRAPPER_GROUP": str(self._directory / "group"),
        }
        command = [str(self._files / "usr/sbin/sshd"), "-D", "-e", "-f", str(self._directory / "sshd_config")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 20
        while True:
            assert self._process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server; connections that are open stay."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def cut(self) -> int:
        """Cut all open connections, as a cable that is pulled; gives how many."""
        if self._process is None:
            return 0
        sessions = psutil.Process(self._process.pid).children()
        for session in sessions:
            with contextlib.suppress(psutil.NoSuchProcess):
                session.send_signal(signal.SIGKILL)
        return len(sessions)

    def runners(self) -> list[psutil.Process]:
        """Processes of runners that live on this board."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if any(word.startswith(f"{self.workdir}/") for word in words):
                found.append(process)
        return found

    @property
    def _user(self) -> str:
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "tester"

    def _write(self) -> None:
        if os.getuid() == 0:
            PRIVILEGE_SEPARATION.mkdir(exist_ok=True)
        for path in (self._directory / "host_key", self.credentials / "ssh-privatekey"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=30)
        public = self.credentials / "ssh-privatekey.pub"
        (self._directory / "authorized_keys").write_text(public.read_text())
        public.unlink()
        host_key = " ".join((self._directory / "host_key.pub").read_text().split()[:2])
        (self.credentials / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}\n")
        uid, gid = os.getuid(), os.getgid()
        (self._directory / "passwd").write_text(
            f"{self._user}:x:{uid}:{gid}::{self.home}:/bin/sh\nsshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n"
        )
        (self._directory / "group").write_text(f"{self._user}:x:{gid}:\nnogroup:x:65534:\n")
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self._directory / "host_key",
            "AuthorizedKeysFile": self._directory / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "UsePAM": "no",
            "MaxStartups": "100",
        }
        config = "".join(f"{name} {value}\n" for name, value in settings.items())
        (self._directory / "sshd_config").write_text(config)
