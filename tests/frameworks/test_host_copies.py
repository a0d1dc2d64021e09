"""Copies of a state on the host: exact, also from a file, and in memory where a file fails."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from stayfinite.frameworks import disks, host_copies
from stayfinite.frameworks.array_file import ArrayFile
from stayfinite.frameworks.host_copies import HostCopies

DRAWN = np.random.default_rng(0)
ARRAYS = [
    DRAWN.normal(size=(300, 700)).astype("float32"),
    DRAWN.normal(size=(5, 4)).astype("float16").T,
    np.array([np.nan, np.inf, -0.0]),
    np.arange(7, dtype=np.uint8),
    np.array(3, np.int32),
    np.empty((0, 2)),
]
DESCRIPTORS = Path("/proc/self/fd")
NUM_BYTES = sum(array.nbytes for array in ARRAYS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where copies of any size are written to."""
    monkeypatch.setattr(host_copies, "fits_in_memory", lambda num_bytes, is_on_host: False)
    monkeypatch.setattr(host_copies, "folders_with_room", lambda num_bytes: [str(tmp_path)])
    return tmp_path


def replace(copies, arrays=ARRAYS):
    copies.replace(range(len(arrays)), lambda number: arrays[number], NUM_BYTES, is_on_host=True)


def assert_holds(copies, arrays=ARRAYS):
    found = {number: copies.read(number) for number in copies.sizes()}
    for number, array in enumerate(arrays):
        assert (found[number].shape, found[number].dtype) == (array.shape, array.dtype)
        assert found[number].tobytes() == array.tobytes()


def files_open_in(folder):
    # A link of a deleted file leads nowhere, and still has its name.
    links = [link for link in DESCRIPTORS.iterdir() if link.is_symlink()]
    return [link for link in links if str(folder) in str(link.readlink())]


@contextmanager
def files_of_at_most(num_bytes):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("is_in_file", [True, False])
def test_copies_have_the_same_bits(is_in_file, folder, monkeypatch):
    if not is_in_file:
        monkeypatch.setattr(host_copies, "folders_with_room", lambda num_bytes: [])
    copies = HostCopies()
    replace(copies)
    assert copies.is_in_file == is_in_file
    assert_holds(copies)
    # As a step changes them, and as some are found to be unchanged by it.
    changed = [array + array.dtype.type(1) for array in ARRAYS]
    replace(copies, changed)
    copies.discard(0)
    copies.add(9, ARRAYS[0])
    assert 0 not in copies.sizes()
    assert np.array_equal(copies.read(9), ARRAYS[0])
    replace(copies)
    assert_holds(copies)


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="lists open files as Linux does")
def test_file_has_no_name_and_is_closed_with_the_copies(folder):
    copies = HostCopies()
    replace(copies)
    assert (len(files_open_in(folder)), list(folder.iterdir())) == (1, [])
    del copies
    assert files_open_in(folder) == []


@pytest.mark.parametrize("limit", [0, 1000, NUM_BYTES - 1])
def test_full_disk_leaves_the_copies_in_memory(limit, folder):
    told = []
    copies = HostCopies(lambda *facts: told.append(facts))
    with files_of_at_most(limit):
        replace(copies)
    assert not copies.is_in_file
    assert_holds(copies)
    replace(copies)
    assert not copies.is_in_file
    ((num_bytes, error),) = told
    assert (num_bytes, error.errno) == (NUM_BYTES, errno.EFBIG)
    assert error.filename == str(folder)


def test_disk_that_becomes_full(folder):
    told = []
    copies = HostCopies(lambda *facts: told.append(facts))
    replace(copies)
    assert copies.is_in_file
    with files_of_at_most(NUM_BYTES):
        copies.add(len(ARRAYS), ARRAYS[0])
    assert not copies.is_in_file
    ((num_bytes, error),) = told
    assert (num_bytes, error.errno) == (NUM_BYTES + ARRAYS[0].nbytes, errno.EFBIG)
    assert_holds(copies, [*ARRAYS, ARRAYS[0]])


def test_deleted_folder(folder):
    copies = HostCopies()
    replace(copies)
    folder.rmdir()
    replace(copies)
    # The file that is open has no need of it.
    assert copies.is_in_file
    assert_holds(copies)
    other = HostCopies()
    replace(other)
    assert not other.is_in_file
    assert_holds(other)


def test_process_that_was_forked_has_a_file_of_its_own(folder, monkeypatch):
    copies = HostCopies()
    replace(copies)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(OSError, match="other bytes"):
        copies.read(0)
    replace(copies)
    assert_holds(copies)


def test_bytes_that_the_disk_has_lost_are_noticed(tmp_path):
    file = ArrayFile(str(tmp_path))
    file.write(0, ARRAYS[0])
    os.pwrite(file._descriptor, bytes(4096), 8192)
    with pytest.raises(OSError, match="TMPDIR"):
        file.read(0)
    os.ftruncate(file._descriptor, 4096)
    with pytest.raises(OSError, match="TMPDIR"):
        file.read(0)


MOUNTS = r"""22 1 8:1 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / {0}/memory rw - tmpfs tmpfs rw
31 22 0:26 / {0}/far rw shared:7 - nfs4 host:/home rw
32 30 8:2 / {0}/memory/a\040disk rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("name", "is_suited"),
    [("", True), ("memory", False), ("far", False), ("memory/a disk", True), ("missing", False)],
)
def test_files_are_on_a_disk_with_room(name, is_suited, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.replace("{0}", os.path.realpath(tmp_path)))
    folder = tmp_path / name
    for each in ("memory/a disk", "far"):
        (tmp_path / each).mkdir(parents=True)
    monkeypatch.setattr(disks, "_MOUNTS", mounts)
    monkeypatch.setattr(disks, "_VAR_TMP", str(tmp_path / "missing"))
    monkeypatch.setattr(disks.tempfile, "tempdir", str(folder))
    assert list(disks.folders_with_room(1)) == ([str(folder)] if is_suited else [])
    assert list(disks.folders_with_room(2**60)) == []


def test_what_fits_in_memory(tmp_path, monkeypatch):
    pages = 2**30 // os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "statm").write_text(f"{3 * pages} {pages} 0 0 0 0 0\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    1048576 kB\n")
    monkeypatch.setattr(disks, "_OWN_PAGES", tmp_path / "statm")
    monkeypatch.setattr(disks, "_MEMORY", tmp_path / "meminfo")
    assert [disks.fits_in_memory(n * 2**20, is_on_host=True) for n in (64, 65)] == [True, False]
    assert [disks.fits_in_memory(n * 2**20, is_on_host=False) for n in (256, 257)] == [True, False]
    for name in ("_OWN_PAGES", "_MEMORY"):
        monkeypatch.setattr(disks, name, Path("/missing"))
    assert disks.fits_in_memory(2**50, is_on_host=True)
    assert disks.fits_in_memory(2**50, is_on_host=False)
