import keras
import numpy as np
import pytest
from keras import layers

from stayfinite import models
from tests import warm

SMALL = (4, 16, 16, 3)
# With 64 filters, random values for 33 million weights take seconds.
ZEROS = {"kernel_initializer": "zeros"}
NARROW = {"filters": 4}
STAGES = [f"conv{number}_block2_add" for number in range(2, 6)]
# Total, trainable, and regularised kernels at (16, 112, 112, 3) with 10 classes.
DEPTHS = {
    18: (33_219_850, 33_212_042, 21),
    34: (63_540_618, 63_525_386, 37),
    50: (46_283_786, 46_238_346, 54),
    101: (85_408_266, 85_310_602, 105),
    152: (117_636_106, 117_492_362, 156),
}


def of_depth(depth, *args, **options):
    return getattr(models, f"ResNet3D{depth}")(*args, **options)


def kernels(model):
    return [layer for layer in model.layers if isinstance(layer, layers.Conv3D | layers.Dense)]


def outputs(model, clips):
    return np.asarray(model.predict_on_batch(clips))


@pytest.mark.parametrize(
    "depth",
    [pytest.param(depth, marks=pytest.mark.slow if depth > 50 else ()) for depth in DEPTHS],
)
def test_parameters_and_penalties(depth):
    # The number of parameters does not depend on the size of the clip; zeros are made quickly.
    model = of_depth(depth, (16, 112, 112, 3), classes=10, kernel_initializer="zeros")
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert (model.count_params(), trainable, len(model.losses)) == DEPTHS[depth]
    assert model.output_shape == (None, 10)


def test_without_l2_nothing_is_penalised():
    assert models.ResNet3D18(SMALL, l2=0.0, kernel_initializer="zeros").losses == []


def test_l2_and_initializer_reach_every_kernel():
    model = models.ResNet3D50(SMALL, classes=3, l2=0.01, kernel_initializer="ones", **NARROW)
    for layer in kernels(model):
        assert np.all(keras.ops.convert_to_numpy(layer.kernel) == 1)
    penalty = sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)
    size = sum(int(np.prod(layer.kernel.shape)) for layer in kernels(model))
    assert penalty == pytest.approx(0.01 * size, rel=1e-4)


def test_stages_halve_the_clip():
    model = models.ResNet3D34((16, 112, 112, 3), classes=10, kernel_initializer="zeros")
    shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert shapes["conv1_conv"] == (8, 56, 56, 64)
    assert shapes["pool1"] == (4, 28, 28, 64)
    assert shapes["conv2_block3_add"] == (4, 28, 28, 64)
    assert shapes["conv3_block4_add"] == (2, 14, 14, 128)
    assert shapes["conv4_block6_add"] == (1, 7, 7, 256)
    assert shapes["conv5_block3_add"] == (1, 4, 4, 512)


def test_each_stage_has_twice_the_filters_of_the_one_before():
    model = models.ResNet3D18(SMALL, classes=2, filters=3)
    widths = [model.get_layer(name).output.shape[-1] for name in ("conv1_conv", *STAGES)]
    assert widths == [3, 3, 6, 12, 24]


def test_the_shortcut_is_not_activated():
    model = models.ResNet3D18(SMALL, classes=2, **ZEROS)
    for number in (1, 2):
        source = model.get_layer(f"conv2_block{number}_add").input[0]
        before = "pool1" if number == 1 else "conv2_block1_add"
        assert source is model.get_layer(before).output


@pytest.mark.parametrize("classes, activation", [(1, "sigmoid"), (5, "softmax")])
def test_activation_follows_the_number_of_classes(classes, activation):
    model = models.ResNet3D18(SMALL, classes=classes, **ZEROS)
    assert model.layers[-1].activation.__name__ == activation


@pytest.mark.parametrize("pooling, shape", [(None, (1, 1, 1, 32)), ("avg", (32,)), ("max", (32,))])
def test_without_the_top(pooling, shape):
    model = models.ResNet3D18(SMALL, include_top=False, pooling=pooling, **NARROW)
    assert model.output_shape[1:] == shape
    clips = np.random.default_rng(0).random((2, *SMALL), "float32")
    assert np.isfinite(outputs(model, clips)).all()


def test_built_on_a_tensor_of_the_user():
    clip = keras.Input(SMALL)
    model = models.ResNet3D18(input_tensor=layers.Rescaling(1 / 255)(clip), classes=2, **ZEROS)
    assert model.input is clip
    assert any(isinstance(layer, layers.Rescaling) for layer in model.layers)


def test_lengths_may_be_open():
    model = models.ResNet3D18((None, None, None, 3), classes=2, **NARROW)
    for shape in ((1, 4, 16, 16, 3), (1, 7, 20, 18, 3)):
        assert outputs(model, np.ones(shape, "float32")).shape == (1, 2)


# Keras warns of what it leaves out before it refuses the file of another network.
@pytest.mark.filterwarnings("ignore:Skipping :UserWarning")
def test_weights_from_a_file(tmp_path):
    model = models.ResNet3D18(SMALL, classes=2, **NARROW)
    model.save_weights(tmp_path / "a.weights.h5")
    again = models.ResNet3D18(SMALL, classes=2, weights=tmp_path / "a.weights.h5", **NARROW)
    clips = np.random.default_rng(0).random((2, *SMALL), "float32")
    assert np.array_equal(outputs(model, clips), outputs(again, clips))
    with pytest.raises(
        ValueError, match=r"`weights` must be those of this network .*Received: weights="
    ):
        models.ResNet3D34(SMALL, classes=2, weights=tmp_path / "a.weights.h5", **NARROW)


def test_saved_it_loads_without_stayfinite(tmp_path):
    model = models.ResNet3D18(SMALL, classes=3, **NARROW)
    clips = np.random.default_rng(0).random((2, *SMALL), "float32")
    np.save(tmp_path / "clips.npy", clips)
    model.save(tmp_path / "model.keras")
    script = (
        "import sys; sys.modules['stayfinite'] = None\n"
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "np.save('found.npy', model.predict_on_batch(np.load('clips.npy')))\n"
    )
    done = warm.python(tmp_path, script)
    assert done.returncode == 0, done.stderr
    expected = outputs(model, clips)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=1e-5, atol=1e-6)


def test_channels_first():
    last = models.ResNet3D18(SMALL, classes=2, **NARROW)
    first = models.ResNet3D18((3, 4, 16, 16), classes=2, data_format="channels_first", **NARROW)
    first.set_weights(last.get_weights())
    clips = np.random.default_rng(0).random((2, *SMALL), "float32")
    found = outputs(first, np.moveaxis(clips, -1, 1))
    np.testing.assert_allclose(found, outputs(last, clips), rtol=1e-4, atol=1e-5)


def test_half_precision_ends_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.ResNet3D18(SMALL, classes=2, **ZEROS)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"


@pytest.mark.parametrize(
    "options, expected",
    [
        (
            {"input_shape": (16, 16, 3)},
            r"`input_shape` must be \(frames, height, width, channels\)",
        ),
        ({"pooling": "mean", "include_top": False}, "`pooling` must be one of"),
        ({"classes": 0}, "`classes` must be at least 1"),
        ({"classes": 1, "classifier_activation": "softmax"}, "always be 1"),
        ({"l2": -1.0}, "`l2` must be a finite number"),
        ({"filters": 0}, "`filters` must be at least 1"),
        ({"data_format": "first"}, "`data_format` must be"),
        ({"weights": "imagenet"}, "no weights to download"),
        ({"input_tensor": np.zeros((1, *SMALL))}, "`input_tensor` must be a Keras tensor"),
    ],
)
def test_bad_arguments_are_named(options, expected):
    with pytest.raises(ValueError, match=expected):
        models.ResNet3D18(**{"input_shape": SMALL, **ZEROS, **options})
