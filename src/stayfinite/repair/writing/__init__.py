"""From a rewritten formula back to the user's source.

written = write(extraction, rewritten)
print(Patch.start(written.edit.source).then(written.edit).diff())
"""

from stayfinite.repair.writing.write import CannotWriteError, Written, available, write

__all__ = ["CannotWriteError", "Written", "available", "write"]
