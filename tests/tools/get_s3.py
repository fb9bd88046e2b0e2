"""A Python that has what stage images have for s3://, and a server of S3's protocol (moto) to try it on.

An environment of its own: the clients need an older python-dateutil than the operator's (images/stage-constraints.txt).
"""

from __future__ import annotations

import subprocess
import tempfile
import venv
from pathlib import Path

from images.catalog import images
from images.lock import constraints

CACHE = Path(__file__).parents[2] / ".cache"
_SERVER = ("moto==5.2.5", "boto3==1.43.117", "flask==3.1.3", "flask-cors==6.0.5", "werkzeug==3.1.9")
_CLIENT = ("s3fs", "pydantic", "pyyaml", "typer")


def python(directory: Path = CACHE) -> Path:
    """Its interpreter; made in `directory` the first time. Raises CalledProcessError."""
    home = directory / f"s3-{_SERVER[0].replace('==', '-')}"
    if not home.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            fresh = _made(Path(scratch))
            try:
                fresh.rename(home)
            except OSError:
                if not home.exists():  # else another test process was faster
                    raise
    return home / "bin" / "python"


def _made(scratch: Path) -> Path:
    home, pins = scratch / "fresh", scratch / "pins.txt"
    venv.create(home, with_pip=True)
    pins.write_text("".join(f"{name}=={version}\n" for name, version in _pins().items()))
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(pins), *_SERVER, *_CLIENT], check=True)
    return home


def _pins() -> dict[str, str]:
    return constraints(next(image for image in images().values() if "s3" in image.extras))


if __name__ == "__main__":
    print(python())
