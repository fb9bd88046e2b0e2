"""Bytes at rest: the content-addressed store, and fetching from the URIs that users write. Light imports only."""
