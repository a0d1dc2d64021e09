"""Triplets are what they say, the same for any number of workers, and a network trains on them."""

import pickle

import keras
import numpy as np
import pytest
from PIL import Image

from stayfinite.errors import UsageError
from stayfinite.networks.data.images import SUFFIXES, read_image
from stayfinite.networks.data.items import read_items
from stayfinite.networks.data.triplets import TripletDataset
from stayfinite.networks.models import EmbeddingNetwork, TripletNetwork
from tests.networks.data.pictures import digit, scale, write_digits
from tests.networks.models.small import small_backbone


@pytest.fixture
def folder(tmp_path):
    return write_digits(tmp_path / "digits", {0: 7, 1: 4, 2: 2, 3: 1})


def epoch_of(dataset):
    return [row for index in range(len(dataset)) for row in dataset.files_of(index)]


def class_of(path):
    return path.parent.name


def test_each_row_is_a_triplet(folder):
    dataset = TripletDataset(folder, size=8, batch_size=4)
    rows = epoch_of(dataset)
    assert len(rows) == 13
    for anchor, positive, negative in rows:
        assert anchor != positive
        assert class_of(anchor) == class_of(positive) != class_of(negative)


def test_each_image_with_a_positive_is_an_anchor_once(folder):
    anchors = [anchor for anchor, _, _ in epoch_of(TripletDataset(folder, size=8))]
    assert len(set(anchors)) == len(anchors) == 13
    assert "digit3" not in {class_of(anchor) for anchor in anchors}


def test_more_triplets_than_anchors_go_round(folder):
    anchors = [row[0] for row in epoch_of(TripletDataset(folder, size=8, num_triplets=30))]
    _, counts = np.unique([str(anchor) for anchor in anchors], return_counts=True)
    assert len(anchors) == 30
    assert sorted(counts) == [2] * 9 + [3] * 4


def test_positives_and_negatives_are_drawn_evenly(folder):
    dataset = TripletDataset(folder, size=8, num_triplets=13000, batch_size=13000)
    rows = epoch_of(dataset)
    first = dataset.items.items[0].path
    near = [str(row[1]) for row in rows if row[0] == first]
    far = [str(row[2]) for row in rows if row[0] == first]
    for found, kinds in ((near, 6), (far, 7)):
        _, counts = np.unique(found, return_counts=True)
        assert len(counts) == kinds
        # 1,000 draws: five standard deviations.
        assert np.abs(counts - 1000 / kinds).max() < 5 * np.sqrt(1000 / kinds)


def test_a_batch_holds_the_pixels_of_its_files(folder):
    dataset = TripletDataset(folder, size=16, batch_size=5, fit="stretch")
    (anchors, positives, negatives), zeros = dataset[1]
    assert np.array_equal(zeros, np.zeros((5, 1)))
    for part, images in enumerate((anchors, positives, negatives)):
        assert images.dtype == np.float32
        for row, image in zip(dataset.files_of(1), images, strict=True):
            assert np.array_equal(image, read_image(row[part]))


def test_the_last_batch_has_what_is_left(folder):
    dataset = TripletDataset(folder, size=8, batch_size=5)
    assert [len(dataset[index][1]) for index in range(len(dataset))] == [5, 5, 3]
    with pytest.raises(IndexError, match="expected a batch from 0 to 2; received 3"):
        dataset[3]


def test_epochs_differ_and_come_again(folder):
    dataset, other = (TripletDataset(folder, size=8, seed=4) for _ in range(2))
    first = epoch_of(dataset)
    dataset.on_epoch_begin()
    dataset.on_epoch_end()
    assert dataset.epoch == 1
    second = epoch_of(dataset)
    assert second != first
    other.epoch = 1
    assert epoch_of(other) == second
    other.epoch = 0
    assert epoch_of(other) == first
    assert epoch_of(TripletDataset(folder, size=8, seed=5)) != first


def test_an_end_without_a_begin_is_not_an_epoch(folder):
    dataset = TripletDataset(folder, size=8)
    dataset.on_epoch_end()
    assert dataset.epoch == 0


def test_the_same_triplets_in_every_epoch(folder):
    dataset = TripletDataset(folder, size=8, same_every_epoch=True)
    first = epoch_of(dataset)
    dataset.epoch = 7
    assert epoch_of(dataset) == first


def test_flips_are_drawn_a_row_and_come_again(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(40):
            left = np.zeros((4, 4), "uint8")
            left[:, :2] = 255
            Image.fromarray(left).save(tmp_path / name / f"{number}.png")
    dataset = TripletDataset(tmp_path, size=4, batch_size=80, flip=True)
    (anchors, positives, negatives), _ = dataset[0]
    sides = [images[:, 0, 0, 0] > 0 for images in (anchors, positives, negatives)]
    for side in sides:
        assert 0.25 < side.mean() < 0.75
    assert not np.array_equal(sides[0], sides[1])
    again = dataset[0][0][0]
    assert np.array_equal(anchors, again)


def test_preprocessing_may_write_into_its_argument(folder):
    plain = TripletDataset(folder, size=8, batch_size=4)
    scaled = TripletDataset(folder, size=8, batch_size=4, preprocess=scale)
    for _ in range(2):
        images = scaled[0][0][1]
        assert np.allclose(images, (plain[0][0][1] / 127.5 - 1)[..., ::-1], atol=1e-6)
        assert images.flags.c_contiguous


def test_preprocessing_that_loses_rows_is_named(folder):
    dataset = TripletDataset(folder, size=8, preprocess=lambda images: images[0])
    with pytest.raises(ValueError, match="`preprocess` must return one element per image"):
        dataset[0]


def test_a_lone_image_is_a_negative_only_and_named(folder):
    dataset = TripletDataset(folder, size=8, num_triplets=500)
    (problem,) = dataset.problems
    assert class_of(problem.path) == "digit3"
    assert problem.reason == "it is the only image of its class, so it is never an anchor"
    assert problem.path in {negative for _, _, negative in epoch_of(dataset)}


def test_bad_files_of_a_folder_are_named_and_not_drawn(folder):
    bad = folder / "digit0" / "bad.png"
    bad.write_bytes(b"not an image")
    dataset = TripletDataset(folder, size=8)
    assert bad in {problem.path for problem in dataset.problems}
    assert bad not in {path for row in epoch_of(dataset) for path in row}


def test_a_file_that_is_listed_twice_is_not_its_own_positive(tmp_path, folder):
    files = sorted(folder.rglob("*.png"))
    rows = [f"{path},{class_of(path)}" for path in [*files, files[0]]]
    rows.append(f"{files[1]},digit1")
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    dataset = TripletDataset(tmp_path / "list.csv", size=8)
    reasons = {problem.path: problem.reason for problem in dataset.problems}
    assert reasons[files[0]] == "it is listed more than once and used once"
    assert reasons[files[1]] == "it is in 2 classes: ['digit0', 'digit1']"
    assert len(dataset.items) == len(files) - 1


def test_items_are_taken_as_they_are(folder):
    items = read_items(folder, SUFFIXES)
    assert TripletDataset(items, size=8).items == items


@pytest.mark.parametrize("sizes", [{0: 5}, {0: 1, 1: 1, 2: 1}])
def test_a_set_without_triplets_is_refused(tmp_path, sizes):
    folder = write_digits(tmp_path / "digits", sizes)
    with pytest.raises(UsageError, match=r"expected images of at least two classes.*'digit0': "):
        TripletDataset(folder, size=8)


def test_a_set_without_a_usable_image_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "empty.png").touch()
    with pytest.raises(UsageError, match=r"expected images; none can be used: .*empty, 0 bytes"):
        TripletDataset(tmp_path, size=8)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "`batch_size` and `num_triplets` must be 1 or more"),
        ({"num_triplets": 0}, "`batch_size` and `num_triplets` must be 1 or more"),
        ({"seed": -1}, "`seed` must be a whole number"),
        ({"size": 0}, "`size` must be a number"),
        ({"fit": "cover"}, "`fit` must be one of"),
        ({"preprocess": "caffe"}, "`preprocess` must be a function"),
        ({"cache_bytes": -1}, "`cache_bytes` must be 0 or more"),
    ],
)
def test_a_wrong_argument_is_named(folder, options, message):
    with pytest.raises(ValueError, match=message):
        TripletDataset(folder, **options)


def test_a_file_that_is_gone_is_named_when_it_is_drawn(folder):
    dataset = TripletDataset(folder, size=8, cache_bytes=0)
    for path in folder.rglob("*.png"):
        path.unlink()
    with pytest.raises(UsageError, match="there is no such file"):
        dataset[0]


def test_kept_images_are_not_read_again_and_stay_below_the_limit(folder):
    kept = TripletDataset(folder, size=8)
    before = [kept[0][0], kept[0][0]]
    some = TripletDataset(folder, size=8, cache_bytes=3 * 8 * 8 * 3)
    expected = some[0][0]
    for path in folder.rglob("*.png"):
        path.unlink()
    assert np.array_equal(kept[0][0], before[1])
    with pytest.raises(UsageError, match="there is no such file"):
        some[0]
    assert np.array_equal(expected, before[0])


def test_a_pickled_dataset_gives_the_same_batches(folder):
    dataset = TripletDataset(folder, size=8, flip=True, preprocess=scale)
    dataset.epoch = 3
    expected = dataset[0]
    again = pickle.loads(pickle.dumps(dataset))[0]
    assert all(np.array_equal(a, b) for a, b in zip(expected[0], again[0], strict=True))


class Losses(keras.callbacks.Callback):
    """The loss after each step."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def trained(folder, **workers):
    keras.utils.set_random_seed(0)
    dataset = TripletDataset(folder, size=16, batch_size=5, preprocess=scale, flip=True, **workers)
    network = TripletNetwork(EmbeddingNetwork(small_backbone, (16, 16, 3), 8, weights=None))
    network.compile("adam", "mean_absolute_error")
    network.test_on_batch(*dataset[0])
    network.reset_metrics()
    seen = Losses()
    network.fit(dataset, epochs=3, verbose=0, shuffle=False, callbacks=[seen])
    return seen.losses


def test_a_network_trains_on_it_the_same_with_any_number_of_workers(folder):
    losses = trained(folder)
    assert len(losses) == 9
    assert np.isfinite(losses).all()
    assert trained(folder, workers=3) == losses


def test_the_epochs_of_a_training_follow_one_another(folder):
    drawn = []

    class Watched(TripletDataset):
        def __getitem__(self, batch_index):
            drawn.append(self.epoch)
            return super().__getitem__(batch_index)

    dataset = Watched(folder, size=16, batch_size=5)
    network = TripletNetwork(EmbeddingNetwork(small_backbone, (16, 16, 3), 8, weights=None))
    network.compile("adam", "mean_absolute_error")
    network.fit(dataset, epochs=3, verbose=0)
    counts = {epoch: drawn.count(epoch) for epoch in drawn}
    # The first batches may be drawn once more, for their shapes.
    assert sorted(counts)[-3:] == list(range(max(counts) - 2, max(counts) + 1))
    assert max(counts) in (2, 3)
    assert [counts[epoch] for epoch in sorted(counts)[-2:]] == [3, 3]


def test_images_of_every_kind_train_together(tmp_path):
    for label in range(3):
        part = tmp_path / f"class{label}"
        part.mkdir()
        image = Image.fromarray(digit(label))
        wide = np.asarray(image).astype("uint16") * 257
        image.save(part / "gray.png")
        image.convert("P").save(part / "palette.gif")
        image.convert("CMYK").save(part / "cmyk.jpg")
        image.convert("RGBA").save(part / "alpha.webp")
        Image.fromarray(wide).save(part / "wide.png")
        Image.fromarray(np.asarray(image) > 100).save(part / "bits.tif")
    dataset = TripletDataset(tmp_path, size=16)
    (anchors, _, _), _ = dataset[0]
    assert dataset.problems == ()
    assert anchors.shape == (18, 16, 16, 3)
    # The same digit, whatever its file: near its gray one in the mean.
    paths = [row[0] for row in dataset.files_of(0)]
    for path, image in zip(paths, anchors, strict=True):
        expected = digit(int(path.parent.name[-1])).astype("float32")
        limit = 80 if path.name == "bits.tif" else 12
        assert np.abs(image - expected[..., None]).mean() < limit, path
