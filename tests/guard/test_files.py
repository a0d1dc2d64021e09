"""The files of the samples at fault are named where the data set can tell them, and only then."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks.keras import sample_files as files

BATCH = 4
BAD = 13


class Scans(keras.utils.PyDataset):
    """The data of a few files; file `BAD` holds a NaN."""

    def __init__(self, noise=0.0, **workers):
        super().__init__(**workers)
        self.noise = noise
        self.random = np.random.default_rng(0)
        self.scans = self.random.normal(size=(22, 3))
        self.scans[BAD, 1] = np.nan

    def __len__(self):
        return -(-len(self.scans) // BATCH)

    def files_of(self, batch_index):
        numbers = range(batch_index * BATCH, min(len(self.scans), (batch_index + 1) * BATCH))
        return [f"scans/{number}.npy" for number in numbers]

    def __getitem__(self, batch_index):
        samples = self.scans[batch_index * BATCH : (batch_index + 1) * BATCH]
        # Float64, which Keras makes float32 of.
        return samples + self.noise * self.random.normal(size=samples.shape), samples[:, 0]


class Reshuffled(Scans):
    """Another order in every epoch, as the data sets of `stayfinite.data` have."""

    epoch = 0

    def on_epoch_end(self):
        self.epoch += 1

    def order(self):
        # The bad file is in the last batch, so that it may be known when the epoch is over.
        order = np.random.default_rng(self.epoch).permutation(len(self.scans) - 1)
        return np.append(order[order != BAD], [order.max() + 1, BAD])

    def files_of(self, batch_index):
        samples = self.order()[batch_index * BATCH : (batch_index + 1) * BATCH]
        return [f"scans/{sample}.npy" for sample in samples]

    def __getitem__(self, batch_index):
        samples = self.scans[self.order()[batch_index * BATCH : (batch_index + 1) * BATCH]]
        return samples, samples[:, 0]


class Unable(Scans):
    def files_of(self, batch_index):
        raise LookupError("no index was written")


def incident(dataset, keep, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(stayfinite.NonFiniteError) as stop:
        model.fit(dataset, verbose=0, callbacks=[stayfinite.Guard(keep=keep)], **options)
    return stop.value.incident


SLOW_IF_COMPILED = pytest.mark.slow_on("jax", "tensorflow")


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"shuffle": False}, marks=SLOW_IF_COMPILED),
        pytest.param({"epochs": 1}, marks=SLOW_IF_COMPILED),
    ],
    ids=str,
)
@pytest.mark.parametrize("dataset", [Scans, Reshuffled])
@pytest.mark.usefixtures("without_trials")
def test_the_file_is_named_in_whatever_order_it_comes(dataset, options, tmp_path):
    found = incident(dataset(), tmp_path, **{"epochs": 3, **options})
    (sample,) = found.origin.samples
    assert found.because[0] == f"sample {sample} was read from scans/{BAD}.npy"


@SLOW_IF_COMPILED
def test_workers_fetch_ahead(tmp_path):
    found = incident(Scans(workers=3, max_queue_size=10), tmp_path, shuffle=False)
    assert found.because[0] == f"sample {BAD % BATCH} was read from scans/{BAD}.npy"


@pytest.mark.usefixtures("without_trials")
def test_a_batch_that_is_another_one_when_it_is_made_again_has_no_files(tmp_path):
    found = incident(Scans(noise=0.1), tmp_path)
    assert not [line for line in found.because if "scans/" in line]


@SLOW_IF_COMPILED
def test_a_data_set_that_fails_costs_nothing_but_the_files(tmp_path):
    found = incident(Unable(), tmp_path)
    assert found.cause.name == "bad-input"
    assert "the data set could not name its files: LookupError: no index was written" in found.notes


@SLOW_IF_COMPILED
def test_arrays_have_no_files(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.full((8, 3), np.nan)
    with pytest.raises(stayfinite.NonFiniteError) as stop:
        model.fit(x, np.zeros(8), verbose=0, callbacks=[stayfinite.Guard(keep=tmp_path)])
    assert not [line for line in stop.value.incident.because if "read from" in line]


def test_outside_of_a_fit_there_is_no_data_set():
    assert files.files_of((np.zeros(3),), 0) is None
