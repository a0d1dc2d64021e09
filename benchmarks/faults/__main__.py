"""`python -m benchmarks.faults`: faults put into trainings on each backend, and a table of them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.result import Result
from benchmarks.faults.table import markdown, misses
from benchmarks.processes import ROOT, add_python_options, backends

# Both kinds of trainings save at least so often.
EVERY = 6
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1"}


def main() -> int:
    """The exit code: 1 if an injection misses a goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    add_python_options(parser)
    parser.add_argument("--num", type=int, default=500, help="injections a backend, about")
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    parser.add_argument("--only", nargs="+", help="kinds whose name has one of these texts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every injection as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table of all backends")
    options = parser.parse_args()
    found: dict[str, list[Result]] = {}
    for backend, python in backends(options).items():
        found[backend] = _measured(backend, python, options)
        print(f"{backend}\n{markdown({backend: found[backend]})}\n")
        for miss in misses(found[backend], EVERY):
            print(f"missed: {miss}\n")
    if options.markdown is not None:
        options.markdown.write_text(markdown(found) + "\n", encoding="utf-8")
    if options.json is not None:
        everything = {name: [dataclasses.asdict(r) for r in rs] for name, rs in found.items()}
        options.json.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    return int(any(misses(results, EVERY) for results in found.values()))


def _cached(folder: str) -> dict[str, str]:
    """Settings of JAX, with which its processes compile the same step once."""
    return {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _measured(backend: str, python: str, options: argparse.Namespace) -> list[Result]:
    command = [python, "-m", "benchmarks.faults.injections", str(options.num), str(options.seed)]
    results = []
    with (
        tempfile.TemporaryDirectory() as cache,
        subprocess.Popen(
            [*command, *(options.only or ())],
            cwd=ROOT,
            env=os.environ | _ENVIRONMENT | _cached(cache) | {"KERAS_BACKEND": backend},
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            results.append(Result(**json.loads(line)))
            if sys.stderr.isatty():
                print(f"\r{backend}: {len(results)} injections", end="", file=sys.stderr)
    if process.returncode:
        raise SystemExit(f"{backend}: the injections ended with {process.returncode}")
    return results


if __name__ == "__main__":
    sys.exit(main())
