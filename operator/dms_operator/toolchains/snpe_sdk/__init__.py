"""Toolchain `snpe-sdk`: the user's own QAIRT/SNPE SDK, driven by its documented command lines."""
