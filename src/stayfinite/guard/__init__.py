"""`Guard`, `guarded`, and the session of `stayfinite run`."""
