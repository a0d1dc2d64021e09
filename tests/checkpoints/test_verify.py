"""`stayfinite verify` on real checkpoints, finite, bad and broken."""

from __future__ import annotations

import sys
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from stayfinite.cli import main

BAD = np.array([1.0, np.nan, np.inf, -np.inf, -np.inf], np.float32)
GOOD = np.ones((3, 2), np.float32)
COUNTS = "1 nan, 1 inf, 2 -inf of 5 values"


def write_h5(path, **tensors):
    with h5py.File(path, "w") as file:
        for name, value in tensors.items():
            file[f"layers/dense/vars/{name}"] = value
        file["layers/dense/vars"].attrs["name"] = "head"
        file["note"] = "text"


def write_keras(path, **tensors):
    write_h5(path.with_suffix(".tmp"), **tensors)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(path.with_suffix(".tmp"), "model.weights.h5")


WRITERS = {
    "m.keras": write_keras,
    "m.h5": write_h5,
    "m.weights.h5": write_h5,
    "m.npz": lambda path, **tensors: np.savez(path, **tensors),
    "m.safetensors": lambda path, **tensors: save_file(tensors, path),
}
NAMED = {"m.npz": "{}", "m.safetensors": "{}"}


@pytest.mark.parametrize("name", WRITERS)
def test_finite(tmp_path, capsys, name):
    WRITERS[name](tmp_path / name, a=GOOD, steps=np.arange(3))
    assert main(["verify", str(tmp_path / name)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / name}: all 1 tensors are finite\n"


@pytest.mark.parametrize("name", WRITERS)
def test_names_every_bad_tensor_with_counts(tmp_path, capsys, name):
    WRITERS[name](tmp_path / name, a=GOOD, b=BAD, c=BAD.astype(np.float16))
    assert main(["verify", str(tmp_path / name)]) == 1
    tensor = NAMED.get(name, "layers/dense/vars/{} (head)")
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / name}: {tensor.format('b')}: {COUNTS}",
        f"{tmp_path / name}: {tensor.format('c')}: {COUNTS}",
        f"{tmp_path / name}: 2 of 3 tensors are not finite",
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_bfloat16(tmp_path, capsys, name):
    WRITERS[name](tmp_path / name, b=BAD.astype(ml_dtypes.bfloat16))
    assert main(["verify", str(tmp_path / name)]) == 1
    assert COUNTS in capsys.readouterr().out


@pytest.mark.parametrize("dtype", [np.float64, np.complex64, ml_dtypes.float8_e5m2])
def test_other_dtypes(tmp_path, capsys, dtype):
    save_file({"b": BAD.astype(dtype)}, tmp_path / "m.safetensors")
    assert main(["verify", str(tmp_path / "m.safetensors")]) == 1
    assert COUNTS in capsys.readouterr().out


def test_scalar_empty_and_large_tensors(tmp_path, capsys):
    large = np.zeros((5, 1 << 20), np.float32)
    large[4, -1] = np.nan
    np.savez(tmp_path / "m.npz", scalar=np.float32("nan"), empty=np.zeros((0, 3)), large=large)
    assert main(["verify", str(tmp_path / "m.npz")]) == 1
    out = capsys.readouterr().out
    assert "scalar: 1 nan of 1 values" in out
    assert f"large: 1 nan of {large.size} values" in out
    assert "2 of 3 tensors are not finite" in out


def test_sharded_keras_file(tmp_path, capsys):
    write_h5(tmp_path / "one", a=GOOD)
    write_h5(tmp_path / "two", b=BAD)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.write(tmp_path / "one", "model_00000.weights.h5")
        archive.write(tmp_path / "two", "model_00001.weights.h5")
    assert main(["verify", str(tmp_path / "m.keras")]) == 1
    assert "1 of 2 tensors" in capsys.readouterr().out


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "folder"])
def test_unreadable(tmp_path, capsys, name, damage):
    path = tmp_path / name
    if damage == "cut":
        WRITERS[name](path, a=np.ones(4000, np.float32))
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_text("" if damage == "empty" else "not a checkpoint")
    assert main(["verify", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    reason = {
        "missing": ": No such file or directory; pass a checkpoint file",
        "folder": ": Is a directory; pass a checkpoint file",
    }.get(damage, " as a ")
    assert captured.err.startswith(f"stayfinite: {path}: cannot be read{reason}")
    assert len(captured.err.splitlines()) == 1


def test_a_folder_of_checkpoints_lists_them(tmp_path, capsys):
    (tmp_path / "incident-000001").mkdir()
    for name in ("model.keras", "incident-000001/state.safetensors", "notes.txt"):
        (tmp_path / name).touch()
    assert main(["verify", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert printed.endswith("one of its files: incident-000001/state.safetensors, model.keras\n")


def test_keras_file_without_weights(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert main(["verify", str(tmp_path / "m.keras")]) == 2
    assert "the archive has no weights" in capsys.readouterr().err


def test_never_unpickles(tmp_path, capsys):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    array = np.empty(1, object)
    array[0] = Bomb()
    np.savez(tmp_path / "m.npz", a=array)
    assert main(["verify", str(tmp_path / "m.npz")]) == 2
    assert "Object arrays" in capsys.readouterr().err


def test_other_names(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "m.ckpt")]) == 2
    assert "expected a file named *.keras, *.h5, *.npz, *.safetensors" in capsys.readouterr().err


def test_several_files_give_the_worst_code(tmp_path, capsys):
    np.savez(tmp_path / "good.npz", a=GOOD)
    np.savez(tmp_path / "bad.npz", a=BAD)
    files = [str(tmp_path / f"{name}.npz") for name in ("good", "bad", "missing")]
    assert main(["verify", *files[:2]]) == 1
    assert main(["verify", *files]) == 2
    captured = capsys.readouterr()
    assert captured.out.count("not finite") == 2
    assert captured.err.count("\n") == 1


def test_needs_no_framework(tmp_path):
    import subprocess

    np.savez(tmp_path / "m.npz", a=GOOD)
    code = (
        "import sys; from stayfinite.cli import main; main(['verify', 'm.npz'])\n"
        "print([name for name in ('keras', 'jax', 'tensorflow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "m.npz: all 1 tensors are finite\n[]\n"
