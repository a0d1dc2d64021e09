"""The incident in words, as text, JSON and HTML, and its folder on disk.

`assemble.py` makes the incident from what an explanation found, with the sentences of `wording/`.
All else is a pure function of one `Incident`: `text.py` has the blocks of a report
and their order. Nothing here runs code or prints.
"""
