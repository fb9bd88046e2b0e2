"""Writes the parts of the Helm chart that follow from the code (`make generate`)."""
