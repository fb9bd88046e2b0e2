"""Operators that start in a blink and are killed: forked from one process that has imported everything."""

import contextlib
import multiprocessing
import os
import random
import socket
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import yaml

from e2e.running import wait_for

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["dms_operator.controller.main"])


_JUMP_EVERY_SECONDS = 1.0


def _serve(arguments: list[str], log: Path, clock_seconds: float) -> None:
    """The operator's own entry point, with a clock that is wrong by so many seconds, and jumps back and forth."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from dms_operator.controller import main

    def now() -> datetime:
        sign = 1 if int(time.monotonic() / _JUMP_EVERY_SECONDS) % 2 else -1
        return datetime.now(UTC) + sign * timedelta(seconds=clock_seconds)

    main._now = now
    raise SystemExit(main.main(arguments))


class KillableOperator:
    """One operator at a time, none after the `with`; each life has a clock of its own error."""

    def __init__(self, kubeconfig: Path, namespace: str, settings: dict[str, object], directory: Path) -> None:
        self._settings = directory / "settings.yaml"
        self._settings.write_text(yaml.safe_dump(settings))
        self.log = directory / "operator.log"
        self._arguments = [f"--settings={self._settings}", f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
        self._process: multiprocessing.process.BaseProcess | None = None
        self._url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:  # a test that fails would wait at its end for an operator that never ends
            self.kill()

    def start(self, dice: random.Random, clock_error: float = 0.0) -> None:
        """Start one, whose clock is wrong by up to `clock_error` seconds either way."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            listen = f"127.0.0.1:{probe.getsockname()[1]}"
        self._url = f"http://{listen}"
        error = dice.uniform(-clock_error, clock_error)
        target = ([*self._arguments, f"--listen={listen}"], self.log, error)
        self._process = _CONTEXT.Process(target=_serve, args=target)
        self._process.start()

    def wait_ready(self) -> None:
        """Until its caches are filled."""
        wait_for(self._is_ready, 60, f"the operator is ready, see {self.log}")

    def kill(self) -> bool:
        """SIGKILL; False if it had ended by itself before."""
        assert self._process is not None
        alive = self._process.is_alive()
        self._process.kill()
        self._process.join(30)
        return alive

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self._url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
        return False
