"""Folders that are full, read-only or gone."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path


class Disk:
    """A folder that is a file system of its own where that is allowed, else a plain folder.

    Args:
        folder: The folder; it is made.
        size: Its size in bytes; None for enough.
    """

    def __init__(self, folder: Path, size: int | None = None) -> None:
        self._folder = folder
        folder.mkdir()
        self.is_mounted = self._mount("tmpfs", f"size={size or 2**26}")

    def make_read_only(self) -> None:
        """Refuse each further write."""
        if self.is_mounted:
            # It is refused while a file is open for writing.
            while not self._mount("tmpfs", "remount,ro"):
                pass
        elif self._folder.exists():
            self._folder.chmod(stat.S_IRUSR | stat.S_IXUSR)

    def mend(self) -> None:
        """Make it large enough and writable."""
        if self.is_mounted:
            self._mount("tmpfs", f"remount,rw,size={2**26}")
        elif self._folder.exists():
            self._folder.chmod(stat.S_IRWXU)

    def delete(self) -> None:
        """Delete the plain folder that it was made of."""
        if self.is_mounted:
            subprocess.run(["umount", "-l", self._folder], check=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mount(self, kind: str, options: str) -> bool:
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return False
        command = ["mount", "-t", kind, "-o", options, kind, self._folder]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
