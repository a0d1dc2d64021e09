"""The failing step again: as a value, with one thing changed, on disk."""
