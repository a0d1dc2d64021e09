"""Batches of clips: the right frames, honest rows, and the same for any number of workers."""

import os
import pickle
import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from stayfinite import UsageError
from stayfinite.networks.data import ClipDataset, read_items, split_files
from tests import warm
from tests.networks.data import videos

STATM = Path("/proc/self/statm")
SMALL = {"clip_length": 4, "size": (32, 48), "resize": None, "batch_size": 3, "normalize": None}


def clips_of(source, **more):
    return ClipDataset(source, **(SMALL | more))


def number_of(clip):
    """The video of a clip of `two_classes`, and its first frame, by its red."""
    return divmod(int(clip[0, 0, 0, 0]), 20)


def everything(dataset):
    return [dataset[n] for n in range(len(dataset))]


def same(some, others):
    return len(some) == len(others) and all(
        np.array_equal(x, u) and np.array_equal(y, v)
        for (x, y), (u, v) in zip(some, others, strict=True)
    )


def test_clips_from_the_middle(two_classes):
    dataset = clips_of(two_classes, training=False, frame_stride=3)
    assert (len(dataset), dataset.num_clips, dataset.classes) == (3, 7, ("left", "right"))
    clips = np.concatenate([x for x, _ in everything(dataset)])
    labels = np.concatenate([y for _, y in everything(dataset)])
    # 20 frames have room for 10 of a clip that spans 10, so the middle one starts at frame 5.
    expected = np.stack([videos.numbered(20, start=20 * k)[5:15:3] for k in range(7)])
    np.testing.assert_array_equal(clips, expected)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert (clips.dtype, labels.dtype) == (np.float32, np.int32)


def test_the_last_batch_has_what_is_left(two_classes):
    dataset = clips_of(two_classes, training=False)
    assert [len(x) for x, _ in everything(dataset)] == [3, 3, 1]
    assert [len(y) for _, y in everything(dataset)] == [3, 3, 1]
    np.testing.assert_array_equal(dataset[2][0][0], videos.numbered(20, start=120)[8:12])
    with pytest.raises(IndexError):
        dataset[3]


def test_one_hot_labels(two_classes):
    dataset = clips_of(two_classes, training=False, labels="one_hot")
    labels = np.concatenate([y for _, y in everything(dataset)])
    np.testing.assert_array_equal(labels, np.eye(2, dtype="float32")[[0, 0, 0, 1, 1, 1, 1]])
    assert labels.dtype == np.float32


def test_each_epoch_has_each_video_once_in_an_order_of_its_own(two_classes):
    dataset = clips_of(two_classes)
    orders = []
    for epoch in range(3):
        dataset.epoch = epoch
        orders.append([number_of(clip)[0] for x, _ in everything(dataset) for clip in x])
        files = [path for n in range(len(dataset)) for path in dataset.files_of(n)]
        assert [int(path.stem) for path in files] == orders[-1]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_labels_go_with_their_clips(two_classes):
    for x, y in everything(clips_of(two_classes)):
        assert [int(number_of(clip)[0] >= 3) for clip in x] == y.tolist()


def test_training_draws_moment_place_and_mirroring(two_classes):
    dataset = clips_of(two_classes, size=(20, 30), resize=32)
    starts, tops, lefts, mirrored = set(), set(), set(), []
    for epoch in range(20):
        dataset.epoch = epoch
        for x, _ in everything(dataset):
            for clip in x:
                number, start = number_of(clip)
                is_mirrored = clip[0, 0, 0, 1] > clip[0, 0, -1, 1]
                upright = clip[:, :, ::-1] if is_mirrored else clip
                left, top = int(upright[0, 0, 0, 1]), int(upright[0, 0, 0, 2])
                # The whole clip is one window of four frames in a row.
                expected = videos.numbered(20, start=20 * number)[start : start + 4]
                expected = expected[:, top : top + 20, left : left + 30]
                np.testing.assert_array_equal(upright, expected)
                starts.add(start)
                tops.add(top)
                lefts.add(left)
                mirrored.append(is_mirrored)
    assert (starts, tops, lefts) == (set(range(17)), set(range(13)), set(range(19)))
    assert 0.3 < np.mean(mirrored) < 0.7


def test_without_flip_nothing_is_mirrored(two_classes):
    dataset = clips_of(two_classes, flip=False)
    for epoch in range(5):
        dataset.epoch = epoch
        for x, _ in everything(dataset):
            assert (np.diff(x[..., 1], axis=3) == 1).all()


def test_a_validation_is_the_same_in_every_epoch(two_classes):
    dataset = clips_of(two_classes, training=False, size=(20, 30), resize=32)
    first = everything(dataset)
    assert [[number_of(clip)[0] for clip in x] for x, _ in first] == [[0, 1, 2], [3, 4, 5], [6]]
    x = first[0][0]
    assert (x[..., 0, 0, 1].flat[0], x[..., 0, 0, 2].flat[0]) == (9, 6)
    dataset.epoch = 5
    assert same(everything(dataset), first)


def test_draws_depend_on_seed_epoch_and_video_alone(two_classes):
    dataset = clips_of(two_classes, seed=3)
    dataset.epoch = 4
    expected = everything(dataset)
    again = clips_of(two_classes, seed=3, num_threads=1)
    again.epoch = 4
    # In another order, too: no draw comes from a state that reading changes.
    backwards = [again[n] for n in reversed(range(len(again)))][::-1]
    assert same(backwards, expected)
    other = clips_of(two_classes, seed=4)
    other.epoch = 4
    assert not same(everything(other), expected)


@pytest.mark.parametrize("workers", [{"workers": 2}, {"workers": 2, "use_multiprocessing": True}])
@pytest.mark.parametrize("is_training", [True, False])
def test_fit_sees_the_same_for_any_workers(two_classes, workers, is_training):
    """Told by the weights, which are equal to the last bit."""
    how = {"training": is_training}

    def trained(**workers):
        dataset = clips_of(two_classes, normalize="unit", **how, **workers)
        model = network()
        # Otherwise `fit` of Keras draws a batch to learn shapes, and with workers feeds those that
        # were loaded beside it in place of others.
        model.train_on_batch(*dataset[0])
        follow = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(dataset, "epoch", epoch)
        )
        model.fit(dataset, epochs=3, shuffle=False, verbose=0, callbacks=[follow])
        assert dataset.epoch == 3
        return model.get_weights()

    for one, other in zip(trained(), trained(**workers), strict=True):
        np.testing.assert_array_equal(one, other)


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 32, 48, 3))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling3D()(inputs))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def test_evaluate_and_predict(two_classes):
    dataset = clips_of(two_classes, training=False, workers=2)
    assert network().predict(dataset, verbose=0).shape == (7, 2)
    assert np.isfinite(network().evaluate(dataset, verbose=0))


def test_no_batch_shares_memory_with_another(two_classes):
    dataset = clips_of(two_classes, training=False)
    first = dataset[0][0]
    kept = first.copy()
    first_again, _ = dataset[0]
    first_again[...] = -1
    _ = everything(dataset)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(dataset[0][0], kept)
    assert first.flags.owndata or first.base.flags.owndata
    assert first.flags.c_contiguous


@pytest.mark.skipif(not STATM.exists(), reason="needs the memory of a process as Linux tells it")
def test_memory_is_flat_over_epochs(tmp_path):
    for k in range(6):
        (tmp_path / "a").mkdir(exist_ok=True)
        videos.write_as("h264.mp4", tmp_path / "a", videos.noise(40, 120, 160, seed=k))
        (tmp_path / "a" / "h264.mp4").rename(tmp_path / "a" / f"{k}.mp4")
    dataset = ClipDataset(tmp_path, clip_length=16, size=112, resize=128, batch_size=4)
    memory = []
    for epoch in range(30):
        dataset.epoch = epoch
        everything(dataset)
        memory.append(int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    # One clip that is kept is 2.3 MiB, a decoder about one; there are 150 after the fifth epoch.
    # What the allocator keeps for its threads comes to less.
    assert memory[-1] - memory[4] < 48 * 2**20


def test_bad_videos_are_left_out_and_named(two_classes):
    (two_classes / "left" / "empty.mp4").write_bytes(b"")
    videos.write(two_classes / "right" / "short.mkv", videos.numbered(3))
    videos.cut(videos.write(two_classes / "right" / "cut.mkv", videos.noise(30)), 0.5)
    (two_classes / "right" / "notes.txt").write_text("notes")
    dataset = clips_of(two_classes, training=False)
    assert dataset.num_clips == 7
    reasons = {problem.path.name: problem.reason for problem in dataset.problems}
    assert set(reasons) == {"empty.mp4", "short.mkv", "cut.mkv", "notes.txt"}
    assert reasons["short.mkv"] == "it is too short: 3 of 4 frames"
    assert reasons["cut.mkv"].startswith("it is truncated: ")
    assert sum(len(x) for x, _ in everything(dataset)) == 7
    expected = r"^4 files cannot be used: .*; and 1 more; repair or remove them, or leave them out"
    with pytest.raises(UsageError, match=expected):
        clips_of(two_classes, problems="raise")


def test_a_video_that_is_too_short_may_begin_again(two_classes):
    videos.write(two_classes / "right" / "short.mkv", videos.numbered(3, start=200))
    dataset = clips_of(two_classes, training=False, loop_short=True, frame_stride=2)
    assert (dataset.num_clips, dataset.problems) == (8, ())
    assert dataset[2][0][1][:, 0, 0, 0].tolist() == [200, 202, 201, 200]


def test_no_video_at_all(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "class").mkdir(exist_ok=True)
        (tmp_path / "class" / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"none can be used: 2 files cannot be used: .*a\.mp4: it"):
        ClipDataset(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        ClipDataset(tmp_path / "missing")
    (tmp_path / "other" / "class").mkdir(parents=True)
    with pytest.raises(UsageError, match="expected videos; none can be used: no file was found"):
        ClipDataset(tmp_path / "other")


def test_a_video_that_goes_bad_later_is_left_out_and_warned_of_once(two_classes):
    dataset = clips_of(two_classes, training=False)
    before = everything(dataset)
    gone = two_classes / "left" / "1.mkv"
    gone.unlink()
    with pytest.warns(UserWarning, match=re.escape(f"{gone}: there is no such file")) as caught:
        after = everything(dataset)
        assert same(everything(dataset), after)
    assert len(caught) == 1
    assert [len(x) for x, _ in after] == [2, 3, 1]
    np.testing.assert_array_equal(after[0][0], before[0][0][[0, 2]])
    assert [path.stem for path in dataset.files_of(0)] == ["0", "2"]
    assert [problem.path for problem in dataset.problems] == [gone]
    assert dataset.num_clips == 7


def test_a_batch_without_any_video_is_no_batch(two_classes):
    dataset = clips_of(two_classes, training=False)
    (two_classes / "right" / "6.mkv").unlink()
    with (
        pytest.warns(UserWarning),
        pytest.raises(UsageError, match="no video of batch 2 can be decoded"),
    ):
        dataset[2]


@pytest.mark.parametrize("workers", [{}, {"workers": 2, "use_multiprocessing": True}])
def test_a_video_that_goes_bad_later_is_fatal_by_choice(two_classes, workers):
    dataset = clips_of(two_classes, problems="raise", **workers)
    gone = two_classes / "right" / "4.mkv"
    videos.overwrite(gone, 0.0, bytes(gone.stat().st_size))
    with pytest.raises(
        UsageError, match=re.escape(f"a video became unreadable since inspection: {gone}: ")
    ):
        network().fit(dataset, verbose=0)


def test_what_the_header_does_not_tell_comes_up_later(two_classes):
    path = videos.write_sizes(
        two_classes / "right" / "sizes.avi",
        [videos.numbered(10, 32, 48), videos.numbered(10, 40, 40)],
    )
    dataset = clips_of(two_classes, training=False, inspect="header")
    assert (dataset.num_clips, dataset.problems) == (8, ())
    with pytest.warns(UserWarning, match="its frame size changes from 48 x 32 to 40 x 40"):
        assert sum(len(x) for x, _ in everything(dataset)) == 7
    assert [problem.path for problem in dataset.problems] == [path]


def test_a_part_of_the_files_and_a_list(two_classes, tmp_path):
    training, validation = split_files(read_items(two_classes, {".mkv"}), 0.3, seed=1)
    parts = [clips_of(part, training=False) for part in (training, validation)]
    files = [[p for n in range(len(part)) for p in part.files_of(n)] for part in parts]
    assert len(files[0]) + len(files[1]) == 7
    assert not set(files[0]) & set(files[1])
    rows = [f"{path},{path.parent.name}" for path in sorted(two_classes.rglob("*.mkv"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    from_list = clips_of(tmp_path / "list.csv", training=False)
    assert same(everything(from_list), everything(clips_of(two_classes, training=False)))


def test_it_can_be_pickled(two_classes):
    dataset = clips_of(two_classes, seed=5)
    dataset.epoch = 2
    again = pickle.loads(pickle.dumps(dataset))
    assert again.epoch == 2
    assert same(everything(again), everything(dataset))


def test_what_is_decoded_is_resized_and_cut(tmp_path):
    (tmp_path / "a").mkdir()
    videos.write(tmp_path / "a" / "wide.mkv", videos.numbered(8, 60, 120))
    videos.write(tmp_path / "a" / "tall.mkv", videos.numbered(8, 120, 60), rotation=90)
    dataset = ClipDataset(tmp_path, clip_length=8, size=(24, 28), resize=30, training=False)
    x, _ = dataset[0]
    assert x.shape == (2, 8, 24, 28, 3)
    assert (x.min(), x.max() <= 1) == (0, True)


@pytest.mark.parametrize(
    "argument",
    [
        {"clip_length": 0},
        {"frame_stride": 0},
        {"frame_stride": 1.5},
        {"batch_size": 0},
        {"size": 0},
        {"size": (32, 0)},
        {"size": 64, "resize": 48},
        {"num_threads": 0},
        {"labels": "names"},
        {"problems": "ignore"},
        {"inspect": "quickly"},
        {"normalize": (0.5, 0.0)},
        {"seed": -1},
    ],
)
def test_arguments_that_make_no_sense(two_classes, argument):
    name = next(iter(argument))
    with pytest.raises(ValueError, match=f"`{name}`") as caught:
        clips_of(two_classes, **argument)
    assert not isinstance(caught.value, UsageError)


def test_the_example_of_the_documentation(tmp_path):
    """A whole training in a process of its own, in which nothing of FFmpeg is heard."""
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        for n in range(2):
            path = videos.write_as("h264.mp4", tmp_path / name, videos.noise(20, 64, 64, seed))
            path.rename(path.with_name(f"{n}.mp4"))
    videos.cut(videos.write_as("mpeg4.avi", tmp_path / "b", videos.noise(20)), 0.5)
    code = (
        "import keras, stayfinite.data\n"
        f"clips = stayfinite.data.ClipDataset({str(tmp_path)!r}, size=32, resize=40, workers=2)\n"
        "model = keras.Sequential([keras.Input((16, 32, 32, 3)), keras.layers.Flatten(),\n"
        "    keras.layers.Dense(1, activation='sigmoid')])\n"
        "model.compile('adam', 'binary_crossentropy')\n"
        "model.fit(clips, epochs=2, verbose=0)\n"
        "print(len(clips.problems))\n"
    )
    done = warm.python(tmp_path.parent, code)
    assert (done.returncode, done.stderr) == (0, "1\n")


def test_nothing_is_warned_of_while_all_is_well(two_classes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(len(x) for x, _ in everything(clips_of(Path(two_classes)))) == 7
