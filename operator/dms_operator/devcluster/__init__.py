"""A small Kubernetes for a laptop: API server, controllers and a kubelet that runs pods as local processes."""
