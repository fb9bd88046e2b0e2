"""Opens models and datasets from outside, in a process that can reach nothing else."""
