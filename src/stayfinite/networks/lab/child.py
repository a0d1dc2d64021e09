"""Trains one configuration of a lab in its own process.

Usage: `python -m stayfinite.networks.lab.child SETTINGS_AS_JSON FOLDER`.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from stayfinite.errors import NonFiniteError
from stayfinite.networks.lab.running import (
    DONE,
    FAILED,
    NON_FINITE,
    REPORT,
    RESULT,
    STEPS,
    LabResult,
)
from stayfinite.networks.lab.spec import Factors
from stayfinite.networks.lab.variations import AdamWithNorms, RecordSteps, UnfilledLastBatch, varied
from stayfinite.networks.training.resnet3d import Variation, train
from stayfinite.networks.training.settings import ResNet3DSettings


def main() -> None:
    """Train the settings of the first argument and write to the folder of the second."""
    given, out = json.loads(sys.argv[1]), Path(sys.argv[2])
    run_configuration(given, out).save(out / RESULT)


def run_configuration(given: dict[str, Any], out: Path) -> LabResult:
    """Train one configuration and return how it ended; no exception of the training is raised."""
    names = {field.name for field in fields(Factors)}
    factors = Factors(**{name: value for name, value in given.items() if name in names})
    own = {name: value for name, value in given.items() if name not in names}
    settings = ResNet3DSettings(**own)
    (out / REPORT).unlink(missing_ok=True)
    steps = RecordSteps(out / STEPS)
    fed: list[Any] = []

    def wrap(clips: Any) -> Any:
        def samples_of(batch: int) -> int:
            return settings.batch_size if factors.unfilled else len(clips.files_of(batch))

        steps.samples_of = samples_of
        fed.append(varied(clips, factors, settings.batch_size))
        return fed[0]

    optimizer = functools.partial(AdamWithNorms, clipnorm=factors.clipnorm or None)
    variation = Variation(optimizer, wrap, (steps,))
    began = time.monotonic()

    def result(status: str, **more: Any) -> LabResult:
        steps.save()
        seconds = round(time.monotonic() - began, 1)
        found = fed[0].found if fed and isinstance(fed[0], UnfilledLastBatch) else []
        return LabResult(given, status, seconds, len(steps.rows), found=found, **more)

    try:
        figures = train(settings, out, False, print, verbose=2, variation=variation)
    except NonFiniteError as error:
        incident = error.incident
        (out / REPORT).write_text(str(error) + "\n", encoding="utf-8")
        return result(
            NON_FINITE,
            step=incident.where.step,
            cause=incident.cause.name,
            message=incident.cause.message,
        )
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        return result(FAILED, message=f"{type(error).__name__}: {text}")
    return result(DONE, figures=figures)


if __name__ == "__main__":
    main()
