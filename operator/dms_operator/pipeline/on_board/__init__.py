"""What runs on a board, in this process or on a connected board: it needs Python, numpy and an ONNX Runtime alone."""
