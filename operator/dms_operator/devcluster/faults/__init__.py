"""Misbehaviour on demand: rules that strike requests, and things that happen to the cluster at once.

`rules` is their form, `plan` decides which strike (pure, from a seed), `happenings` are the one-off events.
The server applies them (`server.faulty`) and takes the wishes (`server.fault_pages`).
"""
