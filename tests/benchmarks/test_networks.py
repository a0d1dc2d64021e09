import numpy as np
import pytest

from benchmarks import networks


def num_elements(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.mark.slow
def test_resnet3d_has_the_published_number_of_parameters():
    network = networks.resnet3d()
    assert network.count_params() == 33_219_850
    assert num_elements(network.trainable_variables) == 33_212_042
    kernels = [layer for layer in network.layers if hasattr(layer, "kernel_regularizer")]
    assert len(kernels) == 1 + 16 + 3 + 1
    assert all(layer.kernel_regularizer.l2 == np.float32(1e-4) for layer in kernels)


@pytest.mark.slow
def test_siamese_trains_batch_normalization_and_the_end_of_the_embedding():
    network = networks.siamese()
    paths = {variable.path.rpartition("/")[2] for variable in network.trainable_variables}
    assert paths == {"gamma", "beta", "kernel", "bias"}
    assert num_elements(network.trainable_variables) == 53_120 + 2048 * 128 + 128


def test_data_are_the_same_each_time_and_fit_the_network():
    network = networks.NETWORKS["mlp"]
    (x, y), (again, _) = network.arrays(2), network.arrays(2)
    assert x.shape == y.shape == (64, 64)
    np.testing.assert_array_equal(x, again)
    assert np.isfinite(network.build().train_on_batch(x, y))
