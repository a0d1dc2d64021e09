"""From a bad step to its incident, and to what a running training can go on with."""
