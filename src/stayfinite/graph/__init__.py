"""A training step as a graph of ops, walks over the graph, and the user's source."""
