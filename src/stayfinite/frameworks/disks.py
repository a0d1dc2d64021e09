"""Where a copy of a state or of a batch is kept: in memory, or in a file on a local disk."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

# A copy in memory may take this part of what the process has in memory already, or so many bytes.
_PART_OF_RESIDENT = 1 / 16
_MIN_IN_MEMORY = 32 * 2**20
# Where the state is on another device, a copy may take this part of the memory that is free.
_PART_OF_FREE_MEMORY = 1 / 4
# A file may take this part of the room that is left on its disk.
_PART_OF_ROOM = 1 / 2
# A file on tmpfs is in memory, and one on another computer is slow and may outlive the process.
_ON_DISK = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "xfs", "zfs"}
_VAR_TMP = "/var/tmp"
_MOUNTS = Path("/proc/self/mountinfo")
_OWN_PAGES = Path("/proc/self/statm")
_MEMORY = Path("/proc/meminfo")


def fits_in_memory(num_bytes: int, *, is_on_host: bool) -> bool:
    """Whether a copy of a state or of a batch adds little to the memory that is in use.

    Args:
        num_bytes: The size of the copy.
        is_on_host: Whether what is copied is in the memory of the host.
    """
    if is_on_host:
        if num_bytes <= _MIN_IN_MEMORY:
            return True
        resident = _resident_bytes()
        return resident is None or num_bytes <= resident * _PART_OF_RESIDENT
    free = _free_bytes()
    return free is None or num_bytes <= free * _PART_OF_FREE_MEMORY


def _resident_bytes() -> int | None:
    """What this process has in memory; None where the system does not say so in a file."""
    try:
        return int(_OWN_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def _free_bytes() -> int | None:
    """What programs can get; None where the system does not say so in a file."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def folders_with_room(num_bytes: int) -> Iterator[str]:
    """Folders for temporary files of this size that are on a disk of this computer.

    Args:
        num_bytes: How much will be written.
    """
    for folder in dict.fromkeys([*_temporary(), _VAR_TMP]):
        if _kind(folder) in _ON_DISK and num_bytes <= _room(folder) * _PART_OF_ROOM:
            yield folder


def _temporary() -> list[str]:
    try:
        return [tempfile.gettempdir()]
    except OSError:  # none can be written to
        return []


def _room(folder: str) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _kind(folder: str) -> str | None:
    """The type of the file system of a folder; None where it is not known."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    path, longest, kind = Path(os.path.realpath(folder)), -1, None
    for line in lines:
        mounted, _, system = line.partition(" - ")
        point = _unescaped(mounted.split()[4])
        # Of several at one place, the last one is seen.
        if path.is_relative_to(point) and len(point) >= longest:
            longest, kind = len(point), system.split()[0]
    return kind


def _unescaped(path: str) -> str:
    """Spaces and the like are written in octal digits."""
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), path)
