"""What compiles a variant for a board and runs it: one module per toolchain, one row each in `registry`."""
