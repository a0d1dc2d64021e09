"""One module a cause, named after it."""
