"""What old releases do otherwise, with or without the guard; `docs/versions.md` has the list."""

import importlib.metadata
import inspect

import keras
import pytest

IS_KERAS_3_8 = keras.__version__.startswith("3.8.")
ON_JAX = keras.backend.backend() == "jax"
SAVES_SHARDS = "max_shard_size" in inspect.signature(keras.Model.save_weights).parameters
IS_JAX_0_6 = ON_JAX and importlib.metadata.version("jax").startswith("0.6.")

NO_GRAIN = pytest.mark.skipif(IS_KERAS_3_8, reason="`fit` of Keras 3.8 takes no Grain data set")
NO_SHARDS = pytest.mark.skipif(
    not SAVES_SHARDS, reason="Keras 3.8 does not save weights in several files"
)
NO_BATCHES_AFTER_A_FIT_THAT_RAISED = pytest.mark.skipif(
    IS_KERAS_3_8 and ON_JAX,
    reason="`train_on_batch` of Keras 3.8 raises TypeError then, without the guard too",
)
READS_BUFFERS_LATE = pytest.mark.skipif(
    IS_JAX_0_6, reason="JAX 0.6 may read a buffer after it was filled again, unguarded too"
)
NO_PMAP = pytest.mark.skipif(IS_JAX_0_6, reason="a step under the pmap of JAX 0.6 is refused")
GIVES_ARRAYS_OF_JAX = pytest.mark.skipif(
    IS_KERAS_3_8 and ON_JAX,
    reason="Keras 3.8 gives the step arrays of JAX, which are kept without a copy",
)
NO_COMPILED_STEP = pytest.mark.skipif(
    IS_KERAS_3_8, reason="PyTorch 2.13 cannot compile the train step of Keras 3.8, unguarded too"
)
