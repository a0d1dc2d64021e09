"""Files that may be hostile, read within limits; files that must not be lost, replaced whole."""
