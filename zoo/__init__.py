"""The zoo: trainings that go non-finite, each with the answer an expert would give, and a scorer.

`python -m zoo score` asks a tool about every one of them. See README.md in this folder.
"""
