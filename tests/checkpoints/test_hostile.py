"""`stayfinite verify` on files that nobody should trust: one line, exit code 2, little memory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import stayfinite
from stayfinite.checkpoints import counting
from stayfinite.cli import main
from stayfinite.files import limits
from tests.checkpoints.hostile import CASES

# Both are many times what the cases need.
SECONDS = 60
MEMORY = 2 << 30
LIMITED = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
from stayfinite.cli import main
sys.exit(main(["verify", *sys.argv[1:]]))
"""


def test_each_is_refused_in_one_line(tmp_path):
    paths = []
    for name, write in CASES.items():
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        paths.append(folder / name)
        write(paths[-1])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == len(paths)
    for path, line in zip(paths, lines, strict=True):
        assert line.startswith(f"stayfinite: {path}: cannot be read")
        assert len(line) < 700


@pytest.mark.parametrize("verb", ["verify", "explain"])
def test_a_folder_whose_files_may_not_be_looked_at(tmp_path, capsys, monkeypatch, verb):
    (tmp_path / "m.h5").touch()
    plain = Path.stat

    # As for a user who may list the folder and not search it; tests may run as the superuser.
    def stat(path, **settings):
        if path.parent == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return plain(path, **settings)

    monkeypatch.setattr(Path, "stat", stat)
    assert main([verb, str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1 and str(tmp_path) in printed.err


@pytest.mark.parametrize("suffix", ["npz", "keras", "h5"])
def test_what_unpacks_to_much_more_than_it_occupies(tmp_path, capsys, monkeypatch, suffix):
    path = tmp_path / f"m.{suffix}"
    zeros = np.zeros(8 << 20, np.float32)
    if suffix == "npz":
        np.savez_compressed(path, w=zeros)
    else:
        with h5py.File(tmp_path / "w.h5", "w") as file:
            file.create_dataset("w", data=zeros, chunks=(1 << 20,), compression="gzip")
        if suffix == "keras":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(tmp_path / "w.h5", "model.weights.h5")
        else:
            path = tmp_path / "w.h5"
    assert main(["verify", str(path)]) == 0
    monkeypatch.setattr(limits, "ALWAYS_UNPACKED", 1 << 20)
    assert main(["verify", str(path)]) == 2
    assert "bytes of values, more than 200 for each" in capsys.readouterr().err


def test_no_character_that_a_terminal_obeys(tmp_path, capsys):
    path = tmp_path / "\x1b[31m\x9b2J.h5"
    with h5py.File(path, "w") as file:
        file["\x1b]0;title\x07/\u202ew"] = np.float32("nan")
        file["\x1b]0;title\x07"].attrs["name"] = "\x1b[2J"
    assert main(["verify", str(path)]) == 1
    assert main(["verify", f"{path}.\x1b[31m"]) == 2
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "?[31m" in text
    assert not [char for char in text if char != "\n" and not char.isprintable()]


def test_a_large_file_needs_the_memory_of_a_block(tmp_path):
    """A tensor of 300 MB within an address space that has no room for one."""
    size = 75_000_000
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("a", (3, size // 3), np.float32)[2, -1] = np.inf
    stored = tmp_path / "m.h5"
    assert stored.stat().st_size > 4 * size
    code = LIMITED.replace(str(MEMORY), str(400 << 20))
    done = subprocess.run(
        [sys.executable, "-c", code, str(stored)], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.stdout.splitlines() == [
        f"{stored}: a: 1 inf of {size} values",
        f"{stored}: 1 of 1 tensors are not finite",
    ]


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (7, 11, 13), (1, 4001), (4001, 1)])
@pytest.mark.parametrize("chunks", [None, True])
def test_every_value_is_counted_once(tmp_path, monkeypatch, shape, chunks):
    monkeypatch.setattr(limits, "BLOCK", 64)
    if not shape or 0 in shape:
        chunks = None
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("w", data=np.full(shape, np.nan, ">f4"), chunks=chunks)
    np.savez(tmp_path / "m.npz", w=np.full(shape, np.nan, ">f4"))
    for name in ("m.h5", "m.npz"):
        (found,) = stayfinite.verify(tmp_path / name)
        assert found == counting.TensorCount("w", int(np.prod(shape)), int(np.prod(shape)), 0, 0)


def test_a_changed_byte_of_an_archive(tmp_path, capsys):
    """Weights that are stored as they are in a `.keras` file have a checksum there."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["w"] = np.ones(1000, np.float32)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.write(tmp_path / "w.h5", "model.weights.h5")
    content = bytearray((tmp_path / "m.keras").read_bytes())
    content[3000] ^= 1
    (tmp_path / "m.keras").write_bytes(content)
    assert main(["verify", str(tmp_path / "m.keras")]) == 2
    assert "Bad CRC-32" in capsys.readouterr().err


@pytest.mark.parametrize(
    "how, says",
    [
        ("while True: pass", "takes too long"),
        ("os.kill(os.getpid(), 9)", "ended the process (SIGKILL)"),
    ],
)
def test_a_library_that_does_not_return(tmp_path, capsys, monkeypatch, how, says):
    """On damaged files HDF5 may do both; which files, differs from release to release."""
    np.savez(tmp_path / "m.npz", w=np.ones(3))
    monkeypatch.setattr(counting, "verify", lambda path: exec(how, {"os": os}))
    monkeypatch.setattr(limits, "SECONDS", 1)
    assert main(["verify", str(tmp_path / "m.npz")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
