"""The normal of a surface patch is the eigenvector of the smallest eigenvalue of its covariance.

In one patch the scanner returned a single point, repeated. Its covariance is 0, all eigenvalues
are equal, and the derivative of the eigenvectors divides by their differences.
"""

# /// zoo
# cause = "singular-gradient"
# step = 7
# rows = [1]
# fix = "source"
# value = "undefined"
# backends = ["jax", "torch"]
# stands_for = ["C09"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(14)
num_patches, num_points = 64, 16
normals = rng.normal(size=(num_patches, 3))
normals /= np.linalg.norm(normals, axis=1, keepdims=True)
points = rng.normal(size=(num_patches, num_points, 3))
points -= 0.9 * (points @ normals[:, :, None]) * normals[:, None, :]
points[57] = 0.0  # no reflection
points, normals = points.astype("float32"), normals.astype("float32")


class PatchNormal(layers.Layer):
    def call(self, patch):
        centred = patch - ops.mean(patch, axis=1, keepdims=True)
        covariance = ops.matmul(ops.transpose(centred, (0, 2, 1)), centred)
        _, vectors = ops.eigh(covariance)  # at fault
        return vectors[:, :, 0]


inputs = keras.Input((num_points, 3))
start_at_identity = keras.initializers.Constant(np.eye(3))
corrected = layers.Dense(3, use_bias=False, kernel_initializer=start_at_identity)(inputs)
model = keras.Model(inputs, PatchNormal()(corrected))
model.compile(
    optimizer=keras.optimizers.SGD(0.01),
    loss=lambda y, n: 1.0 - ops.square(ops.sum(y * n, axis=-1)),
)
model.fit(points, normals, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(points, normals, verbose=0))
