"""Quantization-aware training: from a safe torch.export program to a QDQ file with learned weights and scales."""
