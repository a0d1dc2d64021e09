"""The examples in the docstrings of the public names run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import av
import keras
import numpy as np
import PIL.Image
import pytest

import stayfinite

HEADING = "\n\nExample:\n\n"
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
# Networks of their real size.
SLOW = {"freeze", "EmbeddingNetwork", "TripletNetwork", "ResNet3D18", "ClipDataset"}
# Illustrations: the value depends on the images.
ANY_VALUE = {"ImageBatches"}


def example_of(owner: object) -> list[doctest.Example]:
    """The statements of the example in a docstring, with what each gives."""
    text = inspect.cleandoc(owner.__doc__ or "").partition(HEADING)[2]
    fences = [doctest.Example(code, "") for code in FENCE.findall(text)]
    return fences or doctest.DocTestParser().get_examples(text)


def public() -> dict[str, list[doctest.Example]]:
    """Public name to its example."""
    found = {}
    for module in ("", ".models", ".losses", ".metrics", ".data"):
        home = importlib.import_module(f"stayfinite{module}")
        names = {name: getattr(home, name) for name in home.__all__}
        found |= {name: example_of(owner) for name, owner in names.items()}
    return {name: example for name, example in found.items() if example}


EXAMPLES = public()


@pytest.fixture
def names(tmp_path, monkeypatch):
    """The names that an example takes for granted; a folder that has its files."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    optimizer = keras.optimizers.SGD(0.1)

    def train_step(x, y):
        import torch

        model.zero_grad()
        loss = keras.ops.mean(keras.ops.square(y - model(x)))
        loss.backward()
        with torch.no_grad():
            weights = model.trainable_weights
            optimizer.apply([weight.value.grad for weight in weights], weights)
        return loss

    photo = keras.Input((64, 64, 3))
    vector = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(photo))
    embedding = keras.Model(photo, vector)
    network = stayfinite.models.TripletNetwork(embedding)
    network.compile("sgd", "mean_absolute_error")
    model.save("model.keras")
    tensor = keras.ops.convert_to_tensor(x)
    return {
        **{"keras": keras, "np": np, "stayfinite": stayfinite, "x": x, "y": x[:, :1]},
        **{"model": model, "optimizer": optimizer, "train_step": train_step},
        **{"embedding": embedding, "network": network, "dataset": [(tensor, tensor[:, :1])]},
        "images": np.zeros((2, 64, 64, 3)),
    }


def write_images(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(64):
        path = folder / f"class-{number % 8}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(draw.integers(256, size=(64, 64, 3), dtype="uint8")).save(path)


def write_videos(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(8):
        path = folder / f"class-{number % 2}" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as video:
            stream = video.add_stream("mpeg4", rate=8)
            stream.width = stream.height = 112
            for _ in range(18):
                frame = draw.integers(256, size=(112, 112, 3), dtype="uint8")
                video.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
            video.mux(stream.encode())


def write_incident(model: keras.Model) -> None:
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        x = np.full((4, 4), np.nan)
        model.fit(x, x[:, :1], verbose=0, callbacks=[stayfinite.Guard()])
    written = Path(stopped.value.incident.kept.incident)
    written.rename(written.with_name("incident-000812"))


def test_the_names_of_the_guard_have_examples():
    assert {"Guard", "guarded", "SafeCheckpoint", "explain", "verify"} <= EXAMPLES.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in EXAMPLES]
)
def test_example_of(name, names):
    source = "".join(each.source for each in EXAMPLES[name])
    if '"images"' in source:
        write_images(Path("images"))
    if '"videos"' in source:
        write_videos(Path("videos"))
        clip = keras.Input((16, 112, 112, 3))
        pooled = keras.layers.GlobalAveragePooling3D()(clip)
        names["model"] = keras.Model(clip, keras.layers.Dense(2)(pooled))
        names["model"].compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if "incident-000812" in source:
        write_incident(names["model"])
    for statement in EXAMPLES[name]:
        if not statement.want:
            exec(statement.source, names)
            continue
        value = eval(statement.source, names)
        # The docstrings have the arrays of JAX.
        if "Array" in statement.want:
            expected = eval(statement.want, {"Array": np.array, "float32": "float32"})
            np.testing.assert_allclose(keras.ops.convert_to_numpy(value), expected, rtol=1e-6)
        elif name not in ANY_VALUE:
            assert repr(value) == statement.want.strip()
