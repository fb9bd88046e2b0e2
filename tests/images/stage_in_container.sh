#!/bin/sh
# What the dev cluster's kubelet runs as `dms` of an image: the same command in the real image, by podman, as strictly as
# the pod's security context asks for. IMAGE names it; volumes are where the kubelet put them.
set -eu
sandbox=$CONTAINER_SANDBOX_MOUNT_POINT
chmod 0777 "$sandbox/tmp"
chmod 0666 "$sandbox/dev/termination-log"
exec podman run --rm --read-only --read-only-tmpfs=false --cap-drop=ALL --security-opt=no-new-privileges --network=none \
  --volume "$(readlink -f "$sandbox/models")":/models:ro \
  --volume "$(readlink -f "$sandbox/data")":/data:ro \
  --volume "$(readlink -f "$sandbox/artifacts")":/artifacts \
  --volume "$(readlink -f "$sandbox/tmp")":/tmp \
  --volume "$sandbox/dev/termination-log":/dev/termination-log \
  --env DMS_REQUEST --env DMS_FILE_ROOTS --env HOME=/tmp \
  "$IMAGE" "$@"
