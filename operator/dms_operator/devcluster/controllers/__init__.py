"""Controllers of the dev cluster: what kube-controller-manager and kube-scheduler do, for the kinds used here."""
