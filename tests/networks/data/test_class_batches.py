"""Batches of classes and images, and all images in their order."""

import pickle
from collections import Counter

import keras
import numpy as np
import pytest

from stayfinite.errors import UsageError
from stayfinite.networks.data.image_batches import ClassBatches, ImageBatches
from stayfinite.networks.data.images import SUFFIXES, read_image
from stayfinite.networks.data.items import read_items, split_files
from stayfinite.networks.losses import BatchHardTripletLoss
from stayfinite.networks.metrics import RecallAtK, recall_at_k
from stayfinite.networks.models import EmbeddingNetwork
from tests.networks.data.pictures import scale, write_digits

SIZES = {0: 12, 1: 8, 2: 5, 3: 3, 4: 2, 5: 1}


@pytest.fixture
def folder(tmp_path):
    return write_digits(tmp_path / "digits", SIZES)


def all_files(dataset):
    return [dataset.files_of(index) for index in range(len(dataset))]


def class_of(path):
    return path.parent.name


def test_a_batch_has_so_many_classes_with_so_many_images(folder):
    dataset = ClassBatches(folder, size=8, num_classes=3, num_images=4)
    assert len(dataset) == 2
    for index in range(len(dataset)):
        images, labels = dataset[index]
        assert images.shape == (12, 8, 8, 3)
        assert labels.dtype == np.int32
        counts = Counter(labels.tolist())
        assert len(counts) == 3 and set(counts.values()) == {4}
        names = [dataset.classes[label] for label in labels]
        assert names == [class_of(path) for path in dataset.files_of(index)]


def test_a_batch_holds_the_pixels_of_its_files(folder):
    dataset = ClassBatches(folder, size=16, num_classes=2, num_images=2)
    images, _ = dataset[3]
    for path, image in zip(dataset.files_of(3), images, strict=True):
        assert np.array_equal(image, read_image(path))


def test_an_image_is_repeated_only_after_all_of_its_class(folder):
    dataset = ClassBatches(folder, size=8, num_classes=4, num_images=7, batches_per_epoch=40)
    for files in all_files(dataset):
        for name in {class_of(path) for path in files}:
            size = SIZES[int(name[-1])]
            counts = Counter(path for path in files if class_of(path) == name)
            assert len(counts) == min(size, 7)
            assert max(counts.values()) - min(counts.values()) <= (0 if size >= 7 else 1)


def test_classes_and_images_take_turns(folder):
    dataset = ClassBatches(folder, size=8, num_classes=2, num_images=2, batches_per_epoch=50)
    files = [path for batch in all_files(dataset) for path in batch]
    classes = Counter(class_of(path) for path in files)
    assert len(classes) == 5
    assert max(classes.values()) - min(classes.values()) <= 2 * 2
    images = Counter(path for path in files if class_of(path) == "digit0")
    assert len(images) == 12
    assert max(images.values()) - min(images.values()) <= 2


def test_a_lone_image_is_left_out_and_named(folder):
    dataset = ClassBatches(folder, size=8, num_classes=2, num_images=2, batches_per_epoch=50)
    (problem,) = dataset.problems
    assert class_of(problem.path) == "digit5"
    assert problem.reason == "it is the only image of its class, so it is left out"
    assert problem.path not in {path for batch in all_files(dataset) for path in batch}
    assert dataset.classes == tuple(f"digit{label}" for label in range(6))


def test_too_few_classes_are_refused(folder):
    with pytest.raises(UsageError, match="expected 6 classes with at least two images; received 5"):
        ClassBatches(folder, size=8, num_classes=6)


def test_one_batch_at_least(folder):
    assert len(ClassBatches(folder, size=8, num_classes=5, num_images=50)) == 1


@pytest.mark.parametrize(
    "options", [{"num_classes": 1}, {"num_images": 1}, {"batches_per_epoch": 0}]
)
def test_a_wrong_argument_is_named(folder, options):
    with pytest.raises(ValueError, match=rf"{next(iter(options))}.* must be [12] or more.*=[01]"):
        ClassBatches(folder, size=8, **options)


def test_epochs_differ_and_come_again(folder):
    dataset, other = (ClassBatches(folder, size=8, num_classes=3, seed=2) for _ in range(2))
    first = all_files(dataset)
    dataset.on_epoch_begin()
    dataset.on_epoch_end()
    second = all_files(dataset)
    assert first != second
    other.epoch = 1
    assert all_files(other) == second
    assert all_files(pickle.loads(pickle.dumps(dataset))) == second
    dataset.same_every_epoch = True
    assert all_files(dataset) == first


def test_all_images_come_once_in_their_order(folder):
    dataset = ImageBatches(folder, size=16, batch_size=7)
    batches = [dataset[index] for index in range(len(dataset))]
    assert [len(labels) for _, labels in batches] == [7, 7, 7, 7, 3]
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), dataset.labels)
    images = np.concatenate([images for images, _ in batches])
    for item, image in zip(read_items(folder, SUFFIXES).items, images, strict=True):
        assert np.array_equal(image, read_image(item.path))
    with pytest.raises(IndexError, match="expected a batch from 0 to 4; received 5"):
        dataset[5]


def embedding():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((16, 16, 3))
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    network = EmbeddingNetwork(keras.Model(inputs, keras.layers.Flatten()(x)), None, 8)
    loss = BatchHardTripletLoss(margin_size=0.2)
    network.compile(keras.optimizers.Adam(0.001), loss, metrics=[RecallAtK(1)])
    return network


def test_a_network_learns_to_tell_digits_apart_and_is_loaded_back(tmp_path):
    folder = write_digits(tmp_path / "many", {label: 40 for label in range(5)})
    training, held_out = split_files(read_items(folder, SUFFIXES), 0.5, seed=0)
    batches = ClassBatches(training, 16, num_classes=5, num_images=4, preprocess=scale)
    images = ImageBatches(held_out, 16, 32, preprocess=scale)
    network = embedding()

    def recall():
        return recall_at_k(network.predict(images, verbose=0), images.labels, ks=(1,))[1]

    untrained = recall()
    history = network.fit(batches, validation_data=images, epochs=20, verbose=0).history
    assert np.isfinite([history[name] for name in history]).all()
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert recall() > max(untrained + 0.05, 0.95)  # chance is 0.2
    network.save(tmp_path / "embedding.keras")
    loaded = keras.saving.load_model(tmp_path / "embedding.keras")
    assert isinstance(loaded.loss, BatchHardTripletLoss)
    assert loaded.loss.get_config() == network.loss.get_config()
    for each in (loaded.predict, loaded.evaluate):
        expected = getattr(network, each.__name__)(images, verbose=0)
        assert np.allclose(each(images, verbose=0), expected, atol=1e-6)


@pytest.mark.slow
def test_worker_processes_give_the_same_training(folder):
    def losses(**workers):
        batches = ClassBatches(folder, 16, num_classes=3, preprocess=scale, flip=True, **workers)
        network = embedding()
        network.test_on_batch(*batches[0])
        network.reset_metrics()
        return network.fit(batches, epochs=2, verbose=0, shuffle=False).history["loss"]

    assert losses() == losses(workers=2, use_multiprocessing=True) == losses(workers=2)
