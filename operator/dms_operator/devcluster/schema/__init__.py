"""Structural OpenAPI schemas: validation, defaults, pruning, CEL rules, CRD checks and OpenAPI documents.

Known gaps: what rules cost is estimated when a definition comes, no budget is kept while they run; of CEL's libraries
strings and optionals, but neither sets nor any of Kubernetes' own (quantity, url, ip, list functions); no
`optionalOldSelf`; lists and maps inside lists and maps have dynamic types; sets are compared in order by
`self == oldSelf`.
"""
