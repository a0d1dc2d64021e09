"""The failing step with one thing changed: trials, samples at fault, source fixes, remedies."""
