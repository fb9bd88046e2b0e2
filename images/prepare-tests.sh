#!/bin/sh
# Sets up what `make test-images` needs: podman with a runtime that works without systemd, and a base image made from
# Debian's packages, so that no registry is needed. Writes .images/containers.conf.
set -eu
cd "$(dirname "$0")/.."

PACKAGES="podman buildah runc catatonit netavark aardvark-dns mmdebstrap uidmap iptables"
BASE=localhost/dms-base:bookworm

fail() {
  echo "make test-images: $*" >&2
  exit 1
}

command -v apt-get >/dev/null || fail "needs a Debian or Ubuntu machine: it installs $PACKAGES by apt-get"
[ "$(id -u)" = 0 ] || fail "has to run as root, or in a throw-away machine: it installs $PACKAGES and makes a base image"

missing=
for package in $PACKAGES; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "== installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
fi

mkdir -p .images
# crun refuses hybrid cgroups, systemd may be absent, and limits above a container's own may not be set.
cat >.images/containers.conf <<END
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
END
CONTAINERS_CONF=$PWD/.images/containers.conf
export CONTAINERS_CONF

if podman image exists "$BASE"; then
  echo "== the base image $BASE is there"
else
  echo "== making the base image $BASE (a minute)"
  # without documentation and translations, as in Debian's own slim images
  mmdebstrap --quiet --variant=minbase --include=ca-certificates \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    bookworm .images/rootfs.tar
  podman import --quiet .images/rootfs.tar "$BASE"
  rm .images/rootfs.tar
fi
