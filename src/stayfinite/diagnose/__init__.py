"""One file a cause: does it match, what does it say, which repair would remove it."""
