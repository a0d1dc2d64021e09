"""The trainings of the reference networks: from a folder of data to saved networks."""
