"""A notebook kernel in which a test runs cells, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode


@dataclass(frozen=True)
class Cell:
    """A cell after it was run."""

    number: int
    outputs: list[NotebookNode]

    @property
    def printed(self) -> str:
        """What it wrote to standard output and standard error."""
        return "".join(o.text for o in self.outputs if o.output_type == "stream")

    @property
    def shown(self) -> list[dict[str, str]]:
        """What it displayed, by its type."""
        return [o.data for o in self.outputs if "data" in o]

    @property
    def traceback(self) -> str | None:
        """The lines of the error that ended it."""
        found = [o.traceback for o in self.outputs if o.output_type == "error"]
        return "\n".join(found[0]) if found else None


class Kernel:
    """A running kernel; its working directory is `folder`."""

    def __init__(self, client: NotebookClient, folder: Path) -> None:
        self.folder = folder
        self._client = client

    def run(self, text: str) -> Cell:
        """Run `text` as the next cell."""
        cell = nbformat.v4.new_code_cell(text)
        self._client.nb.cells.append(cell)
        self._client.execute_cell(cell, len(self._client.nb.cells) - 1)
        return Cell(cell.execution_count, cell.outputs)


@contextmanager
def running_kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel for the block, with the environment of this process."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=240,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel():
        yield Kernel(client, folder)
