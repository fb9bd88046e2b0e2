"""What a deployment means: types, capability table, stage contract, reasons. Depends on pydantic alone."""
