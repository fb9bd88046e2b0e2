"""Structural OpenAPI schemas: validation, defaults, pruning, CEL rules, CRD checks and OpenAPI documents."""
