"""What the three frameworks share of Keras: state, calls, batches, and its private names."""
