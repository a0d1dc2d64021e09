"""Detection of truncated video files by the lengths in their container, without decoding.

Decoders fill gaps and stop at the end of a truncated file without an error. AVI (RIFF), MP4 and MOV
(ISO/IEC 14496-12), and Matroska and WebM (RFC 9559) store the length of each of their parts, which
is compared with the size of the file. Durations are not used, because audio, edit lists and
variable frame rates make them unreliable.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"}
_EBML = 0x1A45DFA3
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
# Some writers count the header of a RIFF file into its length.
_RIFF_SLACK = 8


@dataclass(frozen=True)
class _File:
    file: BinaryIO
    size: int

    def at(self, position: int, length: int) -> bytes:
        self.file.seek(position)
        return self.file.read(length)

    def truncated(self, end: int) -> str:
        return f"it is truncated: {self.size} of at least {end} bytes are there"

    def damaged(self, position: int) -> str:
        return (
            f"it is damaged: no part of the container can begin at byte {position} of {self.size}"
        )


def structure_fault(path: Path) -> str | None:
    """Return why an AVI, MP4, MOV, Matroska or WebM file is incomplete.

    None if it is complete or of another format.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        source = _File(file, os.fstat(file.fileno()).st_size)
        start = source.at(0, 12)
        if start[:4] == b"RIFF" and start[8:] == b"AVI ":
            return _riff_fault(source)
        if start[4:8] in _BOXES:
            return _boxes_fault(source)
        if int.from_bytes(start[:4]) == _EBML:
            return _matroska_fault(source)
    return None


def _boxes_fault(source: _File) -> str | None:
    """Check MP4 and MOV: a sequence of boxes, each with a length and a name."""
    position, names = 0, set()
    while position + 8 <= source.size:
        header = source.at(position, 16)
        length, name = int.from_bytes(header[:4]), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:])
        if length == 0 and name in _BOXES:  # the box extends to the end of the file
            length = source.size - position
        if length < 8:
            # Zeros after the last box are common and harmless.
            return None if b"moov" in names else source.damaged(position)
        names.add(name)
        position += length
    if position > source.size:
        return source.truncated(position)
    return None if b"moov" in names else "it is unfinished: its index (moov) is missing"


def _riff_fault(source: _File) -> str | None:
    """Check AVI: chunks with a name and a length; RIFF and the list `movi` contain chunks."""
    position, frames_end, is_odd = 0, 0, False
    while position + 8 <= source.size:
        header = source.at(position, 12)
        name, length = header[:4], int.from_bytes(header[4:8], "little")
        if not _is_name(name):
            if is_odd and _is_name(source.at(position - 1, 4)):  # written without its padding
                position, is_odd = position - 1, False
                continue
            return source.damaged(position) if position < frames_end else None
        is_holder = name == b"RIFF" or (name == b"LIST" and header[8:] in (b"movi", b"rec "))
        if is_holder and length == 0:  # not finished by its writer, but readable
            return None
        end = position + 8 + length
        if end > source.size + _RIFF_SLACK:
            return source.truncated(end)
        if header[8:] == b"movi":
            frames_end = end
        is_odd = not is_holder and length % 2 == 1
        position = position + 12 if is_holder else end + is_odd
    return None


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _matroska_fault(source: _File) -> str | None:
    """Check Matroska and WebM: elements with an identifier and a length of variable size."""
    position, segment_end = 0, source.size
    while position < segment_end:
        header = source.at(position, 12)
        width = 9 - header[0].bit_length()
        if width > 4:
            return source.damaged(position)
        identifier, rest = int.from_bytes(header[:width]), header[width:]
        length_width = 9 - rest[0].bit_length() if rest else 1
        if length_width > 8:
            return source.damaged(position)
        length = int.from_bytes(rest[:length_width]) & ((1 << 7 * length_width) - 1)
        is_unknown = length == (1 << 7 * length_width) - 1
        inside = position + width + length_width
        if is_unknown and identifier not in (_SEGMENT, _CLUSTER):
            return source.damaged(position)
        if not is_unknown and inside + length > source.size:
            return source.truncated(inside + length)
        if identifier == _SEGMENT and not is_unknown:
            segment_end = inside + length
        position = inside if identifier in (_SEGMENT, _CLUSTER) else inside + length
    return None
