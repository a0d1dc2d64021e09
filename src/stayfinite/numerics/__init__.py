"""What is known about functions and dtypes, as tables."""
