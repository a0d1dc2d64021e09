"""From the graph of a failing step to a `Finding`: its root, and its cause with facts."""
