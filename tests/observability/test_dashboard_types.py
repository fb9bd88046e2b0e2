"""The dashboards are what Grafana's own type definitions allow, by the TypeScript compiler."""

import subprocess
from pathlib import Path

import pytest

from observability.test_dashboards import FILES
from tools import get_node

PACKAGES = ("@grafana/schema@13.2.3", "typescript@7.0.2")
# enums become their values, as which they stand in JSON
HEAD = """import type {Dashboard} from '@grafana/schema';
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? {[K in keyof T]: Plain<T[K]>} : T;
export const dashboard: Plain<Dashboard> = """
OPTIONS = ["--noEmit", "--strict", "--skipLibCheck"]
OPTIONS += ["--moduleResolution", "bundler", "--module", "esnext", "--target", "es2022"]


class Compiler:
    """tsc in a folder that has Grafana's types."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._environment = get_node.environment()
        (directory / "package.json").write_text('{"private": true}')
        self._run("npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES).check_returncode()

    def complaints(self, name: str, text: str) -> str:
        (self._directory / f"{name}.ts").write_text(HEAD + text)
        return self._run("node_modules/.bin/tsc", *OPTIONS, f"{name}.ts").stdout

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = self._environment | {"npm_config_cache": str(self._directory / "cache")}
        return subprocess.run(
            command, cwd=self._directory, env=environment, capture_output=True, text=True, timeout=240
        )


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("types"))


def test_every_dashboard_has_grafanas_types(compiler: Compiler) -> None:
    assert {file.stem: compiler.complaints(file.stem, file.read_text()) for file in FILES} == {
        file.stem: "" for file in FILES
    }


def test_a_wrong_type_and_an_unknown_field_are_seen(compiler: Compiler) -> None:
    good = FILES[0].read_text()
    assert "not assignable" in compiler.complaints("wrong", good.replace('"refresh": "30s"', '"refresh": 30'))
    assert "known properties" in compiler.complaints("unknown", good.replace('"thresholds"', '"threshold"'))
