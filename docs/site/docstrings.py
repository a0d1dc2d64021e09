"""What griffe has to be told about the docstrings of the package."""

from __future__ import annotations

from typing import Any

import griffe

_HEADING = "\n\nExample:\n\n"


class Examples(griffe.Extension):
    """An example as Keras writes it, not indented and at the end, as a block of code."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that has been read."""
        if obj.docstring is None:
            return
        text, heading, example = obj.docstring.value.partition(_HEADING)
        if heading:
            block = f"```pycon\n{example}\n```" if example.startswith(">>>") else example
            obj.docstring.value = f"{text}\n\n**Example:**\n\n{block}"
