"""What commands say when the cluster refuses, or is none: an API server that forbids everything."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cli.rollouts import deployment
from controller.fleet_world import fleet_world
from dms_operator.api.errors import DMSError
from dms_operator.cli.cluster import ClusterAccess
from dms_operator.cli.main import app
from dms_operator.cli.rollout.reading import read_fleet


class Forbidding(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"kind": "Status", "code": 403, "message": f"{self.path.split('?')[0]} is forbidden"})
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def access(tmp_path: Path) -> Iterator[ClusterAccess]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        everyone = {"context": {"cluster": "one", "user": "one", "namespace": "perception"}, "name": "one"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "contexts": [everyone],
            "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "one", "user": {}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        yield ClusterAccess(tmp_path / "kubeconfig")
        server.shutdown()


def test_who_may_not_look_at_nodes_gets_the_refusal_in_place_of_the_vehicles(access: ClusterAccess) -> None:
    found = read_fleet(access, deployment(fleet_world()))
    assert isinstance(found, DMSError)
    assert str(found) == "the cluster refused (403): /api/v1/nodes is forbidden"


@pytest.mark.parametrize("verb", ["status", "approve", "abort", "retry", "pause", "resume"])
def test_a_command_ends_with_the_clusters_own_words(access: ClusterAccess, verb: str) -> None:
    done = CliRunner().invoke(app, ["rollout", verb, "driver", f"--kubeconfig={access.kubeconfig}"])
    where = "/apis/dms.edge/v1alpha1/namespaces/perception/dmsmodeldeployments/driver"
    assert (done.exit_code, done.stderr) == (1, f"SourceUnavailable: the cluster refused (403): {where} is forbidden\n")


def test_without_a_cluster_the_message_says_what_to_set(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["rollout", "status", "driver", f"--kubeconfig={tmp_path / 'none'}"])
    assert done.exit_code == 1
    assert "SourceNotFound: no cluster is known" in done.stderr and "Set KUBECONFIG or --kubeconfig" in done.stderr
