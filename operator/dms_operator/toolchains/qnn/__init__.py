"""Qualcomm QNN through ONNX Runtime's plugin provider: real HTP compilation, simulation and cost model on x86."""
