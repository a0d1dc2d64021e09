"""Runs the configurations of a lab, one process each, and stores their results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stayfinite.networks.lab.spec import Configuration, Spec
from stayfinite.networks.training.folder import OutputFolder, write_json

DONE, NON_FINITE, FAILED = "done", "non-finite", "failed"
# Files of a configuration beside those of the training.
REPORT, STEPS, RESULT, LOG = "report.txt", "steps.csv", "result.json", "log.txt"


@dataclass(frozen=True)
class LabResult:
    """How the training of a configuration ended; `figures` are the numbers of its best epoch."""

    settings: dict[str, Any]
    status: str
    seconds: float = 0.0
    num_steps: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    step: int | None = None  # the bad step
    cause: str | None = None
    message: str = ""
    found: list[dict[str, float]] = field(default_factory=list)  # values of unfilled samples

    def save(self, path: Path) -> None:
        """Write the result as JSON."""
        write_json(path, asdict(self))


def read_result(path: Path) -> LabResult | None:
    """Read a result; None if the file does not exist or is damaged."""
    try:
        return LabResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def run_all(spec: Spec, say: Callable[[str], None]) -> dict[str, LabResult]:
    """Train every configuration without a final result; return all results by name.

    A configuration that fails does not affect the others and is trained again by the next call. One
    that is done, or was non-finite, is trained again only if its settings have changed.
    """
    results = {}
    for number, configuration in enumerate(spec.configurations, start=1):
        folder = spec.out / configuration.folder
        result = read_result(folder / RESULT)
        begun = f"{number} of {len(spec.configurations)}, {configuration.name}"
        if (
            result is None
            or result.settings != configuration.settings
            or result.status not in (DONE, NON_FINITE)
        ):
            say(f"{begun}: training; its output goes to {folder / LOG}")
            result = run_one(configuration, folder, result)
        results[configuration.name] = result
        say(f"{begun}: {describe(result)}")
    return results


def run_one(configuration: Configuration, folder: Path, before: LabResult | None) -> LabResult:
    """Train one configuration in its own process.

    Args:
        configuration: The configuration.
        folder: The folder of its files.
        before: The result of an earlier call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).unlink(missing_ok=True)
    if before is not None and before.settings != configuration.settings:
        OutputFolder(folder).progress.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "stayfinite.networks.lab.child",
        json.dumps(configuration.settings),
    ]
    with (folder / LOG).open("w", encoding="utf-8") as log:
        ended = subprocess.run(
            [*command, str(folder)], stdout=log, stderr=subprocess.STDOUT, check=False
        )
    result = read_result(folder / RESULT)
    if result is not None:
        return result
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1][:200] if lines else "its log is empty"
    result = LabResult(
        configuration.settings, FAILED, message=f"ended with exit code {ended.returncode}: {last}"
    )
    result.save(folder / RESULT)
    return result


def describe(result: LabResult) -> str:
    """Describe the end of a configuration in one line."""
    if result.step is not None:
        return f"non-finite at step {result.step} ({result.cause})"
    if result.status == FAILED:
        return f"failed: {result.message}"
    loss, accuracy = (result.figures[f"val_{name}"] for name in ("loss", "accuracy"))
    ends = f"validation loss {loss:.4f}, accuracy {accuracy:.4f}"
    return f"done after {result.num_steps} steps: {ends}"
