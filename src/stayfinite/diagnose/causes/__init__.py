"""One module a cause, named after it, with its page beside it as Markdown.

`match(evidence)` gives a `Finding` if the evidence shows this cause, else None. A cause imports no
other cause: what several need is measured in `stayfinite.diagnose`.
"""
