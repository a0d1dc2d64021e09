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


def _setting(settings: type, flag: str, **options: Any) -> Callable[[Any], Any]:
    """The option of a setting, with its default."""
    name = flag.partition("/")[0].removeprefix("--").replace("-", "_")
    return click.option(flag, default=getattr(settings, name), show_default=True, **options)


_clips = functools.partial(_setting, ResNet3DSettings)
_images = functools.partial(_setting, SiameseSettings)


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
    type=click.Choice([str(depth) for depth in DEPTHS]),
    default=str(ResNet3DSettings.depth),
    show_default=True,
    help="Number of layers with kernels.",
)
@_clips("--epochs", type=_POSITIVE, help="At most.")
@_clips("--batch-size", type=_POSITIVE, help="Clips a step.")
@_clips("--clip-length", type=_POSITIVE, help="Frames a clip.")
@_clips("--frame-stride", type=_POSITIVE, help="Every how many frames of a video one is taken.")
@_clips("--size", type=_POSITIVE, help="Sides of a frame in pixels.")
@_clips(
    "--resize",
    type=_POSITIVE,
    help="Shorter side in pixels to which a frame is scaled before it is cropped to --size.",
)
@_clips("--learning-rate", type=float, help="Of Adam, at the beginning.")
@_clips("--l2", type=float, help="L2 penalty on every kernel; 0 for none.")
@_clips("--kernel-initializer", help="Of every kernel, by its name in Keras.")
@_clips(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the files of each class to validate on.",
)
@_clips(
    "--patience",
    type=_POSITIVE,
    help="Epochs without a lower validation loss after which the training ends.",
)
@_clips(
    "--reduce-after",
    type=_POSITIVE,
    help="Such epochs after which the learning rate is divided by 10.",
)
@_clips("--flip/--no-flip", help="Mirror every other clip.")
@_clips(
    "--inspect",
    type=click.Choice(["decode", "header"]),
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
    from stayfinite.networks.training.resnet3d import train

    chosen = ResNet3DSettings(depth=int(depth), **settings)
    return _guarded(lambda: train(chosen, out, fresh, click.echo))


@train.command(short_help="An embedding of images, on triplets.")
@_DATA
@_images(
    "--backbone",
    help="A network of keras.applications, or the .keras file of one of your own, from images of "
    "0 to 255 to features.",
)
@_images(
    "--weights",
    help="Of a network of keras.applications: imagenet, which Keras downloads, the path of a "
    "file, or none. A network of your own has its own.",
)
@_images("--size", type=_POSITIVE, help="Sides of an image in pixels.")
@_images("--embedding-dim", type=_POSITIVE, help="Length of a vector.")
@_images(
    "--mining",
    type=click.Choice(["batch_hard", "semi_hard", "none"]),
    help="Which triplets of a batch count; none for triplets drawn at random.",
)
@_images("--distance", type=click.Choice(["euclidean", "squared_euclidean", "cosine"]))
@_images("--margin", type=click.Choice(["hinge", "softplus"]))
@_images("--margin-size", type=float, help="Of the hinge.")
@_images("--classes-per-batch", type=click.IntRange(min=2), help="P.")
@_images("--images-per-class", type=click.IntRange(min=2), help="K.")
@_images(
    "--head-epochs",
    type=click.IntRange(min=0),
    help="Epochs in which the new last layer trains alone, at ten times the learning rate.",
)
@_images(
    "--epochs",
    type=click.IntRange(min=0),
    help="Epochs in which the BatchNormalization layers train with it, at most.",
)
@_images(
    "--whole-epochs",
    type=click.IntRange(min=0),
    help="Epochs after that in which every layer trains, at most.",
)
@_images(
    "--steps-per-epoch", type=click.IntRange(min=0), help="0 for as many as show every image once."
)
@_images("--learning-rate", type=float, help="Of Adam.")
@_images(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the classes that are not trained on, to judge by.",
)
@_images(
    "--patience", type=_POSITIVE, help="Epochs without a higher recall@1 after which a phase ends."
)
@_images("--flip/--no-flip", help="Mirror every other image.")
@_common("siamese-out")
def siamese(out: Path, fresh: bool, **settings: Any) -> int:
    """Train an embedding on DATA: a folder of images with one sub-folder a class, or a CSV list.

    Writes history.csv, curves, verification curve and a picture of the embedding as PNG and SVG,
    and the encoder alone as .keras, as JSON and as HDF5 weights to DIR.
    """
    from stayfinite.networks.training.siamese import train

    return _guarded(lambda: train(SiameseSettings(**settings), out, fresh, click.echo))


def _guarded(training: Callable[[], object]) -> int:
    from stayfinite.errors import NonFiniteError

    try:
        training()
    except NonFiniteError as error:
        click.echo(str(error), err=True)
        return NON_FINITE
    return 0
