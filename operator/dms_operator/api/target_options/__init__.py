"""Options of targets (`spec.targets[].options`) by toolchain: the operator refuses by them, the toolchains use them."""
