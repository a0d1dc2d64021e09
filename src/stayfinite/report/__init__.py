"""What the reader sees: text and JSON, each a pure function of one `Incident`.

`text.py` says which blocks a report has and in which order; the sentences, the source excerpt, the
wrapping and the line budget have a file each. Nothing here runs code, reads a file or prints, and
nothing but `stayfinite.incident` is imported from the rest of the package.
"""
