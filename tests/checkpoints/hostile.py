"""Hostile files: each is small on the disk and asks for much, or for other files."""

from __future__ import annotations

import json
import os
import socket
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np

GIB = 1 << 30


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path) -> None:
    # Bound by a relative name, because the names of sockets are short.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def folder(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * GIB)


def sparse_tensor(path: Path) -> None:
    size = 1 << 40
    entry = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    header = json.dumps({"w": entry}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)


def unknown_dtype(path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F7", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


def header_beyond_the_end(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 20) + b"{}")


def unclosed_array_header(path: Path) -> None:
    # NumPy reads it as a literal of Python, and a second time by tokens.
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", 100) + b"(" * 100
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", header)


def long_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")


def deep_header(path: Path) -> None:
    header = b'{"a":' + b"[" * 1_000_000
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def overlapping_tensors(path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}
    header = json.dumps({f"w{i}": entry for i in range(1000)}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4000))


def negative_sizes(path: Path) -> None:
    entry = {"dtype": "F32", "shape": [-8, -4], "data_offsets": [0, 128]}
    header = json.dumps({"w": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(128))


def fill_value(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (10**10,), np.float32, fillvalue=np.nan)


def compressed_fill_value(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (10**10,), np.float32, chunks=(10**6,), compression="gzip")


def many_chunks(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (10**8,), np.float32, chunks=(1,))


def large_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (2 * 10**8,), np.float32, chunks=(2 * 10**8,), compression="gzip")


def groups_in_a_circle(path: Path) -> None:
    with h5py.File(path, "w") as file:
        inner = file.create_group("a").create_group("b")
        inner["a"] = file["a"]
        inner["w"] = h5py.Empty(np.float32)
        inner.create_dataset("w2", (10**10,), np.float32)


def deep_groups(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group: h5py.Group = file
        for _ in range(3000):
            group = group.create_group("g")
        group.create_dataset("w", (10**10,), np.float32)


def external_link(path: Path) -> None:
    _secret(path)
    with h5py.File(path, "w") as file:
        file["w"] = h5py.ExternalLink("secret.h5", "/w")


def virtual_dataset(path: Path) -> None:
    _secret(path)
    layout = h5py.VirtualLayout(shape=(3,), dtype=np.float32)
    layout[:] = h5py.VirtualSource("secret.h5", "w", shape=(3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("w", layout)


def _secret(path: Path) -> None:
    with h5py.File(path.with_name("secret.h5"), "w") as file:
        file["w"] = np.full(3, np.nan, np.float32)


def external_storage(path: Path) -> None:
    path.with_name("secret.txt").write_bytes(b"\xff" * 12)
    with h5py.File(path, "w") as file:
        where = [(str(path.with_name("secret.txt")), 0, 12)]
        file.create_dataset("w", (3,), np.float32, external=where)


def object_array(path: Path) -> None:
    np.savez(path, w=np.array([{}], object))


def text_member(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.txt", "not an array")


def stated_size(path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000,)}"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header)


def same_member_often(path: Path) -> None:
    """A directory with 100 entries for the same 30 MB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("w.npy", "w") as member:
            np.save(member, np.zeros(30_000_000 // 4, np.float32))
        archive.filelist.extend(archive.filelist * 99)


def lzma_member(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("w.npy", bytes(1000))


CASES = {
    "fifo.h5": fifo,
    "device.npz": device,
    "socket.keras": unix_socket,
    "itself.safetensors": link_to_itself,
    "folder.keras": folder,
    "sparse.safetensors": sparse,
    "sparse.npz": sparse,
    "sparse.h5": sparse,
    "sparse_tensor.safetensors": sparse_tensor,
    "long_header.safetensors": long_header,
    "deep_header.safetensors": deep_header,
    "unknown_dtype.safetensors": unknown_dtype,
    "header_beyond_the_end.safetensors": header_beyond_the_end,
    "overlapping.safetensors": overlapping_tensors,
    "negative_sizes.safetensors": negative_sizes,
    "fill_value.h5": fill_value,
    "compressed.h5": compressed_fill_value,
    "many_chunks.h5": many_chunks,
    "large_chunk.h5": large_chunk,
    "circle.h5": groups_in_a_circle,
    "deep_groups.h5": deep_groups,
    "external_link.h5": external_link,
    "virtual.h5": virtual_dataset,
    "external_storage.h5": external_storage,
    "objects.npz": object_array,
    "text.npz": text_member,
    "unclosed.npz": unclosed_array_header,
    "stated_size.npz": stated_size,
    "same_member.npz": same_member_often,
    "lzma.npz": lzma_member,
}
