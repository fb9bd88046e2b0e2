"""What runs inside stage pods: resolve, quantize, convert, benchmark."""
