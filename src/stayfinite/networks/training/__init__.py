"""The trainings of the reference networks: data in a folder to files that load back."""
