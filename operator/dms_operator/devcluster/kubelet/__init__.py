"""The process-kubelet: simulated nodes whose pods run as processes of this machine.

Volumes are links in a container's sandbox directory, so readOnly cannot be enforced on a hostPath or a claim: it is
enforced (by file modes) for configMap, secret, downwardAPI and projected volumes only, and not against root. There is
no network namespace (every pod has the loopback address), no user change (runAsUser is not applied) and no cpu limit.
"""
