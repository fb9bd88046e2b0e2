"""The command line, `dms` (also `kubectl dms`). Each module is one group of commands."""
