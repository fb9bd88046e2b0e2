#!/bin/sh
# install.sh python|requirements|project: the steps of every image's build stage, which leave /opt/dms behind.
# install.sh runtime [PACKAGE...]: what the image itself gets of Debian, and the user that it runs as.
# Nothing is compiled: a package without a wheel for this platform ends the build.
set -eu

VENV=/opt/dms
HERE=$(dirname "$0")
export PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# Secrets of the build: settings of pip (index, proxy, credentials). They are in no layer.
[ ! -f /run/secrets/pip.conf ] || export PIP_CONFIG_FILE=/run/secrets/pip.conf

install() {
  python3 -m pip --python "$1" install --require-hashes --no-deps --only-binary :all: --find-links /wheels -r "$2"
}

case $1 in
  python) # Debian's Python with pip, in this stage alone
    apt-get update
    apt-get install -y --no-install-recommends ca-certificates python3 python3-pip python3-venv
    ;;
  requirements) # exactly what the lock names, byte for byte
    python3 -m venv --without-pip "$VENV"
    install "$VENV/bin/python" "$HERE/requirements.lock"
    # what is for compiling and testing the libraries themselves: a quarter of torch
    (cd "$VENV"/lib/python3*/site-packages && rm -rf torch/include torch/test torch/bin/*test* onnx/backend/test)
    ;;
  project) # one wheel of this project, built by pinned tools
    python3 -m venv --without-pip /build/tools
    install /build/tools/bin/python "$HERE/build.lock"
    PYTHONPATH=$(echo /build/tools/lib/python3*/site-packages) \
      python3 -m pip wheel --no-build-isolation --no-deps --no-index --wheel-dir /build/dist "$HERE/project"
    python3 -m pip --python "$VENV/bin/python" install --no-deps --no-index /build/dist/*.whl
    ;;
  runtime) # no setuid program stays
    shift
    apt-get update
    apt-get install -y --no-install-recommends ca-certificates python3 "$@"
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/cache/*/* /var/log/*.log /var/log/apt/*
    find / -xdev -type f -perm /6000 -exec chmod a-s {} +
    groupadd --gid 65532 nonroot
    useradd --uid 65532 --gid 65532 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin nonroot
    ;;
  *)
    echo "usage: install.sh python|requirements|project|runtime [PACKAGE...]" >&2
    exit 2
    ;;
esac
