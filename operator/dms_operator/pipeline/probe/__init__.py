"""The board probe: tells on the node what its board is and how it is. One pod per board's node."""
