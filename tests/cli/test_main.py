"""`dms` starts wherever it is installed: in stage pods without the operator's libraries, and with people."""

import subprocess
import sys

import pytest

OPERATOR = ("aiohttp", "kopf", "prometheus_client", "uvloop")
PEOPLE = ("jinja2", "kubernetes", "orjson")
STAGES = ("torch", "onnx", "onnxruntime", "numpy")


def run_without(libraries: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where these libraries cannot be imported."""
    missing = f"import sys\nfor name in {libraries}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-c", missing + code], capture_output=True, text=True, timeout=120)


def test_a_stage_pod_needs_no_library_of_the_operator_or_of_people() -> None:
    done = run_without(
        (*OPERATOR, *PEOPLE), "from dms_operator.cli.main import app; app(['stage', 'run', '/none.json'])"
    )
    assert "ModuleNotFoundError" not in done.stderr and done.returncode != 0, done.stderr
    assert "/none.json" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", ["status", "approve", "abort", "retry", "pause", "resume"])
def test_people_need_no_library_of_the_operator_or_of_stages(verb: str) -> None:
    code = f"from dms_operator.cli.main import app; app(['rollout', '{verb}', 'driver', '--kubeconfig=/none'])"
    done = run_without((*OPERATOR, *STAGES), code)
    assert "SourceNotFound: no cluster is known" in done.stderr, done.stderr
