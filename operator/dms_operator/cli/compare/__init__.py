"""`dms compare`: platform, precision, latency, power, accuracy and size side by side, and what follows from them."""
