"""What runs on a vehicle: a revision's folder on its disk, the check that it works, and the switch to it."""
