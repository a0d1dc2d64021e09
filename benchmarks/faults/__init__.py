"""Faults put into guarded trainings, and what became of them: `python -m benchmarks.faults`."""
