"""Keras's own tests without and with the guard: `python -m benchmarks.keras_tests`.

The installed Keras brings its tests along. Those of trainers, callbacks, optimizers and models are
run in two processes on the backend in use, of which one has every model guarded. Exit code 1 if a
test ends otherwise under guard, but for one that trains a non-finite step on purpose and is
stopped there; such tests are listed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.keras_outcomes import Comparison, Outcome, compare, read

ROOT = Path(__file__).parents[1]
TESTS = (
    "trainers/*_test.py",
    "callbacks/*_test.py",
    "optimizers/*_test.py",
    "models/model_test.py",
    "models/functional_test.py",
    "models/sequential_test.py",
)


def main() -> int:
    options = _parse()
    files = find(options.files or TESTS)
    with tempfile.TemporaryDirectory() as folder:
        bare, guarded = run_both(files, options, Path(folder))
    comparison = compare(bare, guarded)
    print(render(comparison, os.environ.get("KERAS_BACKEND", "the backend of keras.json")))
    if options.json is not None:
        options.json.write_text(json.dumps(dataclasses.asdict(comparison), indent=1) + "\n")
    if not bare or not guarded:
        print("no test ran; see above", file=sys.stderr)
        return 2
    return 1 if comparison.unexplained else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keras_tests")
    parser.add_argument("files", nargs="*", help="patterns below keras/src, instead of all")
    parser.add_argument("--select", metavar="EXPRESSION", help="as -k of pytest")
    parser.add_argument("-n", "--jobs", type=int, default=1, help="processes at a time a side")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for a process")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def find(patterns: tuple[str, ...] | list[str]) -> list[Path]:
    """The test files of the installed Keras, found without importing it."""
    spec = importlib.util.find_spec("keras")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent / "src"
    files = sorted({path for pattern in patterns for path in source.glob(pattern)})
    if not files:
        raise SystemExit(f"no test file of Keras in {source} matches {list(patterns)}")
    return files


def run_both(
    files: list[Path], options: argparse.Namespace, folder: Path
) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    """The outcomes without and with the guard, each from processes of its own."""
    jobs = min(options.jobs, len(files))
    # The order within a process is the same on both sides: tests of Keras share global state.
    parts = [files[start::jobs] for start in range(jobs)]
    sides: list[dict[str, Outcome]] = [{}, {}]
    for guarded in (False, True):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            jobs_of_side = [
                pool.submit(_run, part, number, guarded, options, folder)
                for number, part in enumerate(parts)
            ]
            for job in jobs_of_side:
                sides[guarded].update(job.result())
    return sides[0], sides[1]


def _run(
    files: list[Path], number: int, guarded: bool, options: argparse.Namespace, folder: Path
) -> dict[str, Outcome]:
    name = f"{'guarded' if guarded else 'bare'}-{number}"
    outcomes, home = folder / f"{name}.jsonl", folder / name
    home.mkdir()
    (home / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.keras_plugin"]
    command += ["-p", "no:cacheprovider", "-c", str(home / "pytest.ini")]
    command += ["--rootdir", str(_packages(files)), "--outcomes", str(outcomes), "--tb=short"]
    command += ["--continue-on-collection-errors"]
    command += ["--guarded", "--keep", str(home / "incidents")] if guarded else []
    command += ["-k", options.select] if options.select else []
    log = folder / f"{name}.log"
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
    with log.open("w") as output:
        try:
            # In a folder of its own: some tests write files where they are.
            code = subprocess.run(
                [*command, *map(str, files)],
                cwd=home,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=options.timeout,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    if code not in (0, 1, 5):  # passed, some failed, nothing selected
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        print(f"{name}: ended with {code}, so tests are missing\n{tail}", file=sys.stderr)
    return read(outcomes)


def _packages(files: list[Path]) -> Path:
    return next(parent for parent in files[0].parents if parent.name == "keras").parent


def render(comparison: Comparison, backend: str) -> str:
    """The comparison in words."""
    stops = [d for d in comparison.differences if d.is_stop]
    lines = [
        f"Keras's own tests on {backend}",
        f"  passed in both                     {comparison.num_passed_in_both}",
        f"  skipped in both                    {comparison.num_skipped_in_both}",
        f"  failed in both                     {comparison.num_failed_in_both}",
        f"  stopped at a non-finite step       {len(stops)}",
        f"  differ otherwise                   {len(comparison.unexplained)}",
        f"  tests that trained under guard     {comparison.num_tests_with_guarded_steps}, "
        f"{comparison.num_guarded_steps} steps",
    ]
    for title, differences in (
        ("Stopped at a non-finite step, which the test makes on purpose:", stops),
        ("Differ:", comparison.unexplained),
    ):
        lines += ["", title] if differences else []
        for found in differences:
            lines.append(f"  {found.test}")
            lines.append(f"    bare {found.bare}, guarded {found.guarded}: {found.message}")
            lines += [f"    incident: {cause}" for cause in found.stops]
    if comparison.unguarded:
        lines += ["", "What the guard said in tests:"]
        for test, notes in comparison.unguarded.items():
            lines += [f"  {test}", *(f"    {note}" for note in notes)]
    if comparison.failed_in_both:
        lines += ["", "Failed or not collected in both:"]
        for reason, tests in comparison.failed_in_both.items():
            lines += [f"  {reason}", *(f"    {test}" for test in tests)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
