"""In the loop: the flag of each step, the recent batches, the policy, the safe stop."""
