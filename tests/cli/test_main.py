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


@pytest.mark.parametrize(
    ("library", "arguments", "extras"),
    [
        ("kopf", ["operator", "run"], ["operator"]),
        ("kopf", ["operator", "check"], ["operator"]),
        ("kubernetes", ["compare"], ["operator", "report"]),
    ],
)
def test_a_library_that_is_missing_is_told_by_the_extra_that_installs_it(
    library: str, arguments: list[str], extras: list[str]
) -> None:
    code = f"sys.argv[1:] = {arguments}; from dms_operator.cli.main import main; main()"
    done = run_without((library,), code)
    install = " or ".join(f"pip install 'dms-operator[{extra}]'" for extra in extras)
    told = f"this command needs {library}, which is not installed: {install}\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.parametrize("verb", ["status", "approve", "abort", "retry", "pause", "resume"])
def test_people_need_no_library_of_the_operator_or_of_stages(verb: str) -> None:
    code = f"from dms_operator.cli.main import app; app(['rollout', '{verb}', 'driver', '--kubeconfig=/none'])"
    done = run_without((*OPERATOR, *STAGES), code)
    assert "SourceNotFound: no cluster is known" in done.stderr, done.stderr
