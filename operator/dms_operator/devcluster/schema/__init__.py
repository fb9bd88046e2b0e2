"""Structural OpenAPI schemas: validation, defaults, pruning, CEL rules, CRD checks and OpenAPI documents.

Known gaps: no cost limits for rules; of CEL's libraries strings, optionals, bindings and math, but none of
Kubernetes' own (quantity, url, ip, list functions); sets are compared in order by `self == oldSelf`.
"""
