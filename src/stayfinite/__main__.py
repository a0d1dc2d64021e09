"""`python -m stayfinite`, the same as the command `stayfinite`."""

from __future__ import annotations

import sys

from stayfinite.cli import main

if __name__ == "__main__":
    sys.exit(main())
