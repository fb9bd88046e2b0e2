"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
"""An example that takes long says that the machine is busy, nothing else."""
settings.load_profile("untimed")
