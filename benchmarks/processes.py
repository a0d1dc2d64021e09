"""Measurements in processes of their own: which Python, which backend, and the answer as JSON.

A network that was measured before leaves memory and compiled code behind, and Keras has one backend
a process; so each measurement is a child that prints JSON as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def add_options(parser: argparse.ArgumentParser, networks: list[str]) -> None:
    """The options that choose what is measured and with which Python."""
    parser.add_argument("--network", nargs="+", choices=networks, default=networks)
    add_python_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="all numbers as JSON")


def add_python_options(parser: argparse.ArgumentParser) -> None:
    """The options that choose the backends and their Python."""
    parser.add_argument(
        "--backend", nargs="+", metavar="NAME", help="default: the one that KERAS_BACKEND says"
    )
    parser.add_argument(
        "--python",
        nargs="+",
        default=[],
        metavar="BACKEND=PATH",
        help="interpreter for a backend; default: that of `make test`, or else this one",
    )


def backends(options: argparse.Namespace) -> dict[str, str]:
    """The interpreter for each backend that is to be measured."""
    given = dict(choice.partition("=")[::2] for choice in options.python)
    if options.backend is None:
        name = os.environ.get("KERAS_BACKEND")
        if name is None:
            raise SystemExit("say which backend: set KERAS_BACKEND or pass --backend")
        return {name: given.get(name, sys.executable)}
    return {name: given.get(name) or _of_make_test(name) for name in options.backend}


def _of_make_test(backend: str) -> str:
    python = ROOT / f".venv-test-{backend}" / "bin" / "python"
    return str(python) if python.exists() else sys.executable


def measure(
    python: str,
    backend: str,
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What `python -m benchmarks.<module>` prints last; `{"error": ...}` if it fails."""
    result = subprocess.run(
        [python, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        env=os.environ
        | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
        | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = result.stdout.strip().splitlines()
    if result.returncode == 0 and lines:
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer
    said = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return {"error": said[-1]}
