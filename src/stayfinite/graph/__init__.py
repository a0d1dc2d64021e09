"""What a training step did, op by op, and the questions asked of it."""
