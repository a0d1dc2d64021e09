"""What the guard costs, what an explanation costs, and Keras's own tests under guard."""
