"""dms-operator: takes a trained driver-monitoring model to the chips of a fleet, with proof at each step."""

__version__ = "0.1.0"
