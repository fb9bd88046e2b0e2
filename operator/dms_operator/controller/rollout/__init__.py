"""Which vehicles get a revision now, and which do not: pure functions of spec, what is observed, and the time."""
