"""A small driver monitoring example: rendered clips, a network for them, its training and its export."""
