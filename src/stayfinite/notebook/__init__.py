"""Jupyter, other notebooks, and IPython in a terminal; imported when one of them asks for it."""

from stayfinite.notebook.display import html, traceback_lines
from stayfinite.notebook.extension import load_ipython_extension, unload_ipython_extension

__all__ = ["html", "load_ipython_extension", "traceback_lines", "unload_ipython_extension"]
