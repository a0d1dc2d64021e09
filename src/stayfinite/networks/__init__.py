"""The two reference networks, with their losses, metrics, data, training and comparison."""
