"""Trainings as practitioners write them, of which one batch brings out the mistake in them."""
