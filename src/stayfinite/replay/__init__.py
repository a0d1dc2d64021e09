"""The saved step of an incident, run again in another process."""
