"""Copies of the arrays of a state on the host: in memory, or in a file if that would add much."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stayfinite.frameworks.array_file import ArrayFile
from stayfinite.frameworks.disks import fits_in_memory, folders_with_room
from stayfinite.frameworks.kept_in_memory import Tell


class HostCopies:
    """Copies by number. If a file cannot be written, they are in memory from then on.

    Args:
        tell: Called with their size once they are in memory for want of a file, and with the error;
            None where no folder had room.
    """

    def __init__(self, tell: Tell = lambda num_bytes, error: None) -> None:
        self._tell = tell
        # The last one of a file.
        self._error: OSError | None = None
        self._in_memory: dict[int, np.ndarray] = {}
        self._file: ArrayFile | None = None
        self._may_use_file = True

    @property
    def is_in_file(self) -> bool:
        """Whether they take no memory of the process."""
        return self._file is not None

    def sizes(self) -> dict[int, int]:
        """The copies by number, and how many bytes they have."""
        if self._file is not None:
            return self._file.sizes()
        return {number: array.nbytes for number, array in self._in_memory.items()}

    def replace(
        self,
        numbers: Sequence[int],
        value: Callable[[int], np.ndarray],
        num_bytes: int,
        *,
        is_on_host: bool,
    ) -> None:
        """Copy arrays in the place of what was kept.

        Args:
            numbers: Which ones.
            value: One of them. It may share the memory of the state.
            num_bytes: The size of all together.
            is_on_host: Whether the state is in the memory of the host.
        """
        if self._may_use_file and not fits_in_memory(num_bytes, is_on_host=is_on_host):
            self._in_memory = {}
            if self._has_filled_file(numbers, value, num_bytes):
                return
            self._may_use_file = False
            self._tell(num_bytes, self._error)
        self._drop_file()
        before, self._in_memory = self._in_memory, {}
        for number in numbers:
            array = value(number)
            buffer = before.pop(number, None)
            # Into the same memory: to get new memory costs more than the copy.
            if buffer is None or (buffer.shape, buffer.dtype) != (array.shape, array.dtype):
                self._in_memory[number] = np.array(array)
            else:
                np.copyto(buffer, array)
                self._in_memory[number] = buffer

    def _has_filled_file(
        self, numbers: Sequence[int], value: Callable[[int], np.ndarray], num_bytes: int
    ) -> bool:
        """Whether the copies could be written to the file there is, or to a new one."""
        if self._file is not None and self._file.is_own and self._has_written(numbers, value):
            return True
        self._drop_file()
        for folder in folders_with_room(num_bytes):
            try:
                self._file = ArrayFile(folder)
            except OSError as error:
                self._note(error)
                continue
            if self._has_written(numbers, value):
                return True
            self._drop_file()
        return False

    def _has_written(self, numbers: Sequence[int], value: Callable[[int], np.ndarray]) -> bool:
        assert self._file is not None
        self._file.begin()
        for number in numbers:
            array = value(number)
            try:
                self._file.write(number, array)
            except OSError as error:
                self._note(error)
                return False
        try:
            self._file.end()
        except OSError as error:
            self._note(error)
            return False
        return True

    def _note(self, error: OSError) -> None:
        # Without the frames, whose variables would be kept.
        self._error = error.with_traceback(None)

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, number: int, array: np.ndarray) -> None:
        """Copy one more array."""
        if self._file is not None:
            try:
                self._file.write(number, array)
                return
            except OSError as error:
                self._note(error)
                self._in_memory = {kept: self._file.read(kept) for kept in self._file.sizes()}
                self._drop_file()
                self._may_use_file = False
                num_bytes = sum(kept.nbytes for kept in self._in_memory.values())
                self._tell(num_bytes + array.nbytes, self._error)
        self._in_memory[number] = np.array(array)

    def discard(self, number: int) -> None:
        """Drop one copy."""
        if self._file is not None:
            self._file.discard(number)
        else:
            del self._in_memory[number]

    def read(self, number: int) -> np.ndarray:
        """The values of one copy, in memory of their own.

        Raises:
            OSError: A file has not kept them.
        """
        if self._file is not None:
            return self._file.read(number)
        return self._in_memory[number].copy()
