"""`stayfinite train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

# The script's exit code when a non-finite step stopped it, here as under `run`.
NON_FINITE = 3

_DATA = click.argument("data", type=click.Path())
_PROBLEMS = click.Choice(["leave out", "raise"])
_PRECISION = click.Choice(["float32", "mixed_float16", "mixed_bfloat16"])
_POSITIVE = click.IntRange(min=1)


def _common(default_out: str) -> Callable[[Any], Any]:
    """The options that both networks have."""
    options = [
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path(default_out),
            show_default=True,
            metavar="DIR",
            help="Where all files go; an unfinished training in it goes on.",
        ),
        click.option("--fresh", is_flag=True, help="Begin anew, whatever is in DIR."),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Of all that is random."
        ),
        click.option(
            "--precision",
            type=_PRECISION,
            default="float32",
            show_default=True,
            help="The dtype policy of Keras.",
        ),
        click.option(
            "--problems",
            type=_PROBLEMS,
            default="leave out",
            show_default=True,
            help="What to do about a file that cannot be used.",
        ),
        click.option(
            "--workers", type=_POSITIVE, default=1, show_default=True, help="Threads that decode."
        ),
    ]

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group(short_help="Train a reference network on a folder of images or videos.")
def train() -> None:
    """Train a reference network on DATA, a folder with one sub-folder a class.

    The training is guarded. It goes on after an interruption, and what it saves is loaded back and
    compared before it ends. The backend is that of Keras: KERAS_BACKEND, or keras.json.
    """


@train.command(short_help="A ResNet3D on videos.")
@_DATA
@click.option(
    "--depth",
    type=click.Choice(["18", "34", "50", "101", "152"]),
    default="18",
    show_default=True,
    help="Number of layers with kernels.",
)
@click.option("--epochs", type=_POSITIVE, default=50, show_default=True, help="At most.")
@click.option("--batch-size", type=_POSITIVE, default=8, show_default=True, help="Clips a step.")
@click.option("--clip-length", type=_POSITIVE, default=16, show_default=True, help="Frames a clip.")
@click.option(
    "--frame-stride",
    type=_POSITIVE,
    default=1,
    show_default=True,
    help="Every how many frames of a video one is taken.",
)
@click.option(
    "--size", type=_POSITIVE, default=112, show_default=True, help="Sides of a frame in pixels."
)
@click.option(
    "--resize",
    type=_POSITIVE,
    default=128,
    show_default=True,
    help="Shorter side in pixels to which a frame is scaled before it is cropped to --size.",
)
@click.option(
    "--learning-rate",
    type=float,
    default=1e-3,
    show_default=True,
    help="Of Adam, at the beginning.",
)
@click.option(
    "--l2",
    type=float,
    default=1e-4,
    show_default=True,
    help="L2 penalty on every kernel; 0 for none.",
)
@click.option(
    "--kernel-initializer",
    default="he_normal",
    show_default=True,
    help="Of every kernel, by its name in Keras.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the files of each class to validate on.",
)
@click.option(
    "--patience",
    type=_POSITIVE,
    default=8,
    show_default=True,
    help="Epochs without a lower validation loss after which the training ends.",
)
@click.option(
    "--reduce-after",
    type=_POSITIVE,
    default=3,
    show_default=True,
    help="Such epochs after which the learning rate is divided by 10.",
)
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror every other clip.")
@click.option(
    "--inspect",
    type=click.Choice(["decode", "header"]),
    default="decode",
    show_default=True,
    help="How to look for broken videos first; header is quick, and finds fewer.",
)
@click.option("--weights", type=click.Path(), help="Weights to begin with.")
@_common("resnet3d-out")
def resnet3d(out: Path, fresh: bool, depth: str, **settings: Any) -> int:
    """Train a ResNet3D on DATA: a folder of videos with one sub-folder a class, or a CSV list.

    Writes history.csv, curves and confusion matrix as PNG and SVG, model.keras, the architecture as
    JSON and the weights as HDF5 to DIR.
    """
    # Loaded here: Keras, and with it the backend.
    from stayfinite.training.resnet3d import Settings, train

    return _guarded(lambda: train(Settings(depth=int(depth), **settings), out, fresh, click.echo))


@train.command(short_help="An embedding of images, on triplets.")
@_DATA
@click.option(
    "--backbone", default="ResNet50", show_default=True, help="A network of keras.applications."
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="Of the backbone: imagenet, which Keras downloads, the path of a file, or none.",
)
@click.option(
    "--size", type=_POSITIVE, default=224, show_default=True, help="Sides of an image in pixels."
)
@click.option(
    "--embedding-dim", type=_POSITIVE, default=128, show_default=True, help="Length of a vector."
)
@click.option(
    "--mining",
    type=click.Choice(["batch_hard", "semi_hard", "none"]),
    default="batch_hard",
    show_default=True,
    help="Which triplets of a batch count; none for triplets drawn at random.",
)
@click.option(
    "--distance",
    type=click.Choice(["euclidean", "squared_euclidean", "cosine"]),
    default="euclidean",
    show_default=True,
)
@click.option(
    "--margin", type=click.Choice(["hinge", "softplus"]), default="softplus", show_default=True
)
@click.option("--margin-size", type=float, default=0.2, show_default=True, help="Of the hinge.")
@click.option(
    "--classes-per-batch", type=click.IntRange(min=2), default=8, show_default=True, help="P."
)
@click.option(
    "--images-per-class", type=click.IntRange(min=2), default=4, show_default=True, help="K."
)
@click.option(
    "--head-epochs",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Epochs in which the new last layer trains alone, at ten times the learning rate.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Epochs in which the BatchNormalization layers train with it, at most.",
)
@click.option(
    "--whole-epochs",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Epochs after that in which every layer trains, at most.",
)
@click.option(
    "--steps-per-epoch",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="0 for as many as show every image once.",
)
@click.option("--learning-rate", type=float, default=1e-4, show_default=True, help="Of Adam.")
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.25,
    show_default=True,
    help="Share of the classes that are not trained on, to judge by.",
)
@click.option(
    "--patience",
    type=_POSITIVE,
    default=5,
    show_default=True,
    help="Epochs without a higher recall@1 after which a phase ends.",
)
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror every other image.")
@_common("siamese-out")
def siamese(out: Path, fresh: bool, **settings: Any) -> int:
    """Train an embedding on DATA: a folder of images with one sub-folder a class, or a CSV list.

    Writes history.csv, curves, verification curve and a picture of the embedding as PNG and SVG,
    and the encoder alone as .keras, as JSON and as HDF5 weights to DIR.
    """
    from stayfinite.training.siamese import Settings, train

    return _guarded(lambda: train(Settings(**settings), out, fresh, click.echo))


def _guarded(training: Callable[[], object]) -> int:
    from stayfinite.errors import NonFiniteError

    try:
        training()
    except NonFiniteError as error:
        click.echo(str(error), err=True)
        return NON_FINITE
    return 0
