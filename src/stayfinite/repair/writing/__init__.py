"""From a rewritten formula back to the user's source.

written = write(extraction, rewritten)
print(Patch.start(written.edit.source).then(written.edit).diff())
"""

from stayfinite.repair.writing.changes import Changes
from stayfinite.repair.writing.repeat import repeated
from stayfinite.repair.writing.write import CannotWriteError, Written, available, write

__all__ = ["CannotWriteError", "Changes", "Written", "available", "repeated", "write"]
