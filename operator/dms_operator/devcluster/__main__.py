"""`python -m dms_operator.devcluster`: run a dev cluster in the foreground until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from pathlib import Path

import yaml
from pydantic import ValidationError

from .cluster import DataDirectoryInUse, DevCluster
from .config import DevClusterConfig, load_config


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m dms_operator.devcluster", description=__doc__)
    parser.add_argument("--config", type=Path, help="YAML with nodes, images and timings (config.DevClusterConfig)")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write the kubeconfig")
    parser.add_argument("--data-dir", type=Path, help="for logs, volumes and sandboxes; else a temporary one")
    parser.add_argument("--port", type=int, help="0 or absent: any free port")
    parser.add_argument("--ready-file", type=Path, help="gets the API's URL when the cluster is ready")
    return parser.parse_args(arguments)


def configuration(arguments: argparse.Namespace, directory: Path) -> DevClusterConfig:
    """Return the configuration; raises OSError, yaml.YAMLError or ValidationError."""
    overrides = {"data_directory": directory, "kubeconfig": arguments.kubeconfig}
    if arguments.port is not None:
        overrides["port"] = arguments.port
    if arguments.config is None:
        return DevClusterConfig.model_validate(overrides)
    return load_config(arguments.config, **overrides)


async def serve(config: DevClusterConfig, ready_file: Path | None) -> None:
    """Run until a signal asks for the end."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with DevCluster(config) as cluster:
        print(f"dev cluster ready: {cluster.url}  KUBECONFIG={cluster.kubeconfig}", flush=True)
        _announce(cluster.url, ready_file)
        await ended.wait()
    _announce(None, ready_file)


def _announce(url: str | None, ready_file: Path | None) -> None:
    """Write the ready file, or take it away when there is no URL any more."""
    if ready_file is not None and url is not None:
        ready_file.write_text(f"{url}\n")
    elif ready_file is not None:
        ready_file.unlink(missing_ok=True)


def _wrong(problem: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.errors())


def main() -> int:
    """Run; return the exit code."""
    arguments = parse_arguments(sys.argv[1:])
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with tempfile.TemporaryDirectory(prefix="dms-devcluster-") as temporary:
        try:
            config = configuration(arguments, arguments.data_dir or Path(temporary))
            asyncio.run(serve(config, arguments.ready_file))
        except ValidationError as problem:
            print(f"dev cluster: {arguments.config}: {_wrong(problem)}", file=sys.stderr)
            return 1
        except (OSError, yaml.YAMLError, DataDirectoryInUse) as problem:
            print(f"dev cluster: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
