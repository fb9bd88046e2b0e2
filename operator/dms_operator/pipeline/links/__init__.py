"""Boards that hang off a node: links by ssh and adb, and the runner that is pushed over them."""
