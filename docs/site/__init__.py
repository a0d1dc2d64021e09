"""What makes the site of `docs/` and of the package: see `hooks.py`."""
