"""One explanation, or what it is held against, on the backend in use.

Started by `benchmarks.explain`; prints JSON.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import statistics
import sys
import tempfile
import time
from typing import Any

import keras

import stayfinite
from benchmarks.memory import peak_bytes
from benchmarks.networks import NETWORKS, SEED

BAD_STEP = 2
# The parts of an explanation, by where `stayfinite.explanation.pipeline` calls them.
PARTS = {
    "diagnose": ("diagnose",),
    "common advice": ("try_advice",),
    "other samples": ("try_other_samples",),
    "samples at fault": ("find_samples",),
    "source fix": ("find_source_fix",),
    "remedy": ("find_remedy",),
    "incident folder": ("folder", "create"),
}


class Batches(keras.utils.PyDataset):
    """The batches of a bug's training; the last one brings it out, if asked."""

    def __init__(self, bug: Any, bad: bool) -> None:
        super().__init__()
        self._bug = bug
        self._bad = bad
        self.drawn = 0.0

    def __len__(self):
        return BAD_STEP + 1

    def __getitem__(self, step):
        batch = self._bug.batch(step, self._bad and step == BAD_STEP)
        self.drawn = time.perf_counter()
        return batch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["explain", "bare", "eager"])
    parser.add_argument("network", choices=list(NETWORKS))
    options = parser.parse_args()
    bug = importlib.import_module(f"benchmarks.bugs.{options.network}")
    keras.utils.set_random_seed(SEED)
    measure = {"explain": explanation, "bare": bare_training, "eager": eager_step}[options.what]
    print(json.dumps(measure(bug)))


def explanation(bug: Any) -> dict[str, Any]:
    """From the bad batch to the printed report, by `Guard`."""
    parts = _timed_parts()
    batches, network = Batches(bug, bad=True), bug.build()
    with tempfile.TemporaryDirectory() as keep:
        try:
            network.fit(batches, shuffle=False, verbose=0, callbacks=[stayfinite.Guard(keep=keep)])
        except stayfinite.NonFiniteError as error:
            print(error, file=sys.stderr)
            incident = error.incident
        else:
            raise SystemExit("no step was non-finite, so nothing was explained")
    return {
        "wall_seconds": time.perf_counter() - batches.drawn,
        "seconds": incident.seconds,
        "step": incident.where.step,
        "cause": f"{incident.cause.name}, {incident.cause.certainty}",
        "fix": incident.fix is not None and incident.fix.verified,
        "trials": [f"{trial.change}: {trial.outcome}" for trial in incident.trials],
        "notes": list(incident.notes),
        "parts": parts,
        "peak_bytes": peak_bytes(),
    }


def bare_training(bug: Any) -> dict[str, Any]:
    """The peak of the same training without the bug and without the guard."""
    bug.build().fit(Batches(bug, bad=False), shuffle=False, verbose=0)
    return {"peak_bytes": peak_bytes()}


def eager_step(bug: Any) -> dict[str, Any]:
    """The seconds of a step under `run_eagerly`, the first one, which compiles ops, left out."""
    network, times = bug.build(run_eagerly=True), []
    for step in range(4):
        batch = bug.batch(step, bad=False)
        began = time.perf_counter()
        float(network.train_on_batch(*batch))
        times.append(time.perf_counter() - began)
    return {"eager_step_seconds": statistics.median(times[1:])}


def _timed_parts() -> dict[str, float]:
    """Seconds by part, filled while an explanation runs."""
    seconds: dict[str, float] = {}
    explain = importlib.import_module("stayfinite.explanation.pipeline")
    for part, (*path, name) in PARTS.items():
        owner = functools.reduce(getattr, path, explain)
        setattr(owner, name, _timed(getattr(owner, name), part, seconds))
    return seconds


def _timed(function: Any, part: str, seconds: dict[str, float]) -> Any:
    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began

    return timed


if __name__ == "__main__":
    main()
