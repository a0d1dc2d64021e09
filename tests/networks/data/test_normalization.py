import numpy as np
import pytest

from stayfinite.networks.data.clip_transform import Normalization


def clip(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (4, 6, 5, 3), "uint8")


def test_unit():
    values = Normalization("unit")(clip())
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, clip() / 255, rtol=1e-6)
    extremes = Normalization("unit")(np.array([0, 255], "uint8"))
    assert extremes.tolist() == [0.0, 1.0]


def test_none_keeps_the_values():
    values = Normalization(None)(clip())
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, clip())


def test_by_clip_as_tensorflow_does_it():
    values = clip().astype("float64")
    expected = (values - values.mean()) / max(values.std(), 1 / np.sqrt(values.size))
    found = Normalization("clip")(clip())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_a_clip_of_one_colour_becomes_zero(value):
    found = Normalization("clip")(np.full((16, 112, 112, 3), value, "uint8"))
    assert not found.any()


def test_a_clip_with_one_other_pixel_stays_small():
    pixels = np.full((16, 112, 112, 3), 7, "uint8")
    pixels[3, 4, 5, 0] = 8
    # Its deviation is below the smallest divisor: without that, the one value would be 776.
    assert Normalization("clip")(pixels).max() == pytest.approx(776, rel=2e-3)
    assert np.isfinite(Normalization("clip")(pixels)).all()


def test_mean_and_deviation_a_channel():
    mean, std = [0.4, 0.5, 0.6], (0.2, 0.25, 0.5)
    found = Normalization((mean, std))(clip())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (clip() / 255 - mean) / std, atol=1e-6)
    np.testing.assert_allclose(Normalization((0.5, 0.5))(clip()), clip() / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(
    "how",
    [
        "units",
        (0.5,),
        0.5,
        (0.5, 0.0),
        (0.5, -1.0),
        (0.5, [1.0, 0.0, 1.0]),
        (float("nan"), 1.0),
        (0.5, float("inf")),
        ([0.5, 0.5], 1.0),
    ],
)
def test_what_is_refused(how):
    with pytest.raises(ValueError, match="`normalize` must"):
        Normalization(how)


def test_the_clip_is_not_written_to():
    for how in ("unit", "clip", None, (0.5, 0.5)):
        pixels = clip()
        Normalization(how)(pixels)[...] = 9
        np.testing.assert_array_equal(pixels, clip())
