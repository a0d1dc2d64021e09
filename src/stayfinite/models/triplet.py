"""The three-input network of a triplet training, whose output is the loss."""

from __future__ import annotations

import keras

from stayfinite.losses.triplet import triplet_loss

INPUTS = ("anchor", "positive", "negative")


def TripletNetwork(  # as keras.applications names what it builds
    embedding: keras.Model,
    *,
    distance: str = "euclidean",
    margin: str = "hinge",
    margin_size: float = 1.0,
    name: str = "siamese",
) -> keras.Model:
    """Anchor, positive and negative through one embedding network; the output is their loss.

    One loss a row, not their mean: Keras then weighs rows by `sample_weight`, and a report can
    name the triplet at fault. Compile it with a loss that is its output, as below. Only stock
    Keras operations are added, so its architecture and its files load in plain Keras.

    Args:
        embedding: From one image to one embedding of shape `(batch, dim)`; shared by the three.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be.
        name: Name of the network.

    Returns:
        A functional model with inputs `anchor`, `positive` and `negative` of the shape of the
        input of `embedding`, and an output of shape `(batch, 1)`.

    Raises:
        ValueError: If an option is none of those above, or `embedding` has several inputs.

    References:
        F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet", CVPR 2015 (hinge); A. Hermans,
        L. Beyer, B. Leibe, "In Defense of the Triplet Loss", 2017 (softplus).

    Example:

    >>> network = stayfinite.models.TripletNetwork(embedding, margin_size=0.5)
    >>> network.compile("adam", loss=lambda y_true, y_pred: y_pred)
    """
    if len(embedding.inputs) != 1:
        raise ValueError(
            f"`embedding` must have one input. Received: {len(embedding.inputs)} inputs"
        )
    source = embedding.inputs[0]
    inputs = [keras.Input(source.shape[1:], dtype=source.dtype, name=role) for role in INPUTS]
    anchor, positive, negative = (embedding(image) for image in inputs)
    loss = triplet_loss(
        anchor, positive, negative, distance=distance, margin=margin, margin_size=margin_size
    )
    return keras.Model(inputs, loss, name=name)
