"""Fixes of kind setting or data, each shown by running steps with it.

One file a cause, or a few that are alike; `catalog.find_remedy` picks it.
"""
