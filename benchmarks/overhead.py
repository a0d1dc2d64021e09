"""What the guard costs a step, beside what else users have: `python -m benchmarks.overhead`.

Prints for each backend and network the time of a bare step, the paired ratios of the guarded one,
by the clock and in processor time, and those of peak memory; README.md here says how to read them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

from benchmarks import processes

# TensorFlow counts the tensors of a CPU in this allocator only, see device_memory.py.
COUNTED = {"TF_CPU_ALLOCATOR_USE_BFC": "1"}

NAMES = ["siamese", "resnet3d", "mlp", "heavy_model", "heavy_batch"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead")
    processes.add_options(parser, NAMES)
    parser.add_argument("--peers", action="store_true", help="also what else there is to check")
    parser.add_argument("--blocks", type=int, metavar="N", help="pairs of blocks, an even number")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    options = parser.parse_args()
    answers = []
    for backend, python in processes.backends(options).items():
        for network in options.network:
            answer = measure(python, backend, network, options)
            answers.append(answer)
            print(render(answer), end="\n\n", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(answers, indent=1) + "\n")


def measure(python: str, backend: str, network: str, options: argparse.Namespace) -> dict[str, Any]:
    """All numbers of one network on one backend."""
    arguments = ["--peers"] if options.peers else []
    arguments += ["--rounds", str(options.blocks)] if options.blocks else []
    times = processes.measure(python, backend, "overhead_child", "times", network, *arguments)
    answer = {"backend": backend, "network": network, **times}
    if options.no_memory:
        return answer
    for key, flags in (("bare", ()), ("guarded", ("--guarded",))):
        found = processes.measure(python, backend, "overhead_child", "memory", network, *flags)
        answer[f"peak_{key}"] = found
        answer[f"device_{key}"] = processes.measure(
            python, backend, "overhead_child", "device", network, *flags, environment=COUNTED
        )
    return answer


def render(answer: dict[str, Any]) -> str:
    """One network's table."""
    title = f"{answer['network']} on {answer['backend']}"
    if "error" in answer:
        lines = [title, f"  not measured: {answer['error']}"]
    else:
        lines = [f"{title:<42}{'ms a step':>11}{'ratio':>9}{'min':>9}{'max':>9}{'pairs':>7}"]
        lines += [_row(row) for row in answer["rows"]]
        before, after = answer["load"]
        lines.append(f"  processor time, load average {before:.1f} to {after:.1f}")
        lines += [_row(row) for row in answer["processor"]]
        lines += [f"  {name}: not measured: {why}" for name, why in answer["not_measured"].items()]
    return "\n".join([*lines, *_memory(answer)])


def _row(row: dict[str, Any]) -> str:
    cells = f"  {row['variant']:<40}{1e3 * row['step_seconds']:11.3f}"
    ratios = row["ratios"]
    if not ratios:
        return cells
    figures = statistics.median(ratios), min(ratios), max(ratios)
    return cells + "".join(f"{figure:9.4f}" for figure in figures) + f"{len(ratios):7}"


def _memory(answer: dict[str, Any]) -> list[str]:
    if "peak_bare" not in answer:
        return []
    return [
        _peak("peak memory of the process", answer["peak_bare"], answer["peak_guarded"]),
        _peak("peak memory of the device", answer["device_bare"], answer["device_guarded"]),
    ]


def _peak(title: str, bare: dict[str, Any], guarded: dict[str, Any]) -> str:
    errors = [found["error"] for found in (bare, guarded) if "error" in found]
    if errors:
        return f"  {title}: not measured: {errors[0]}"
    one, other = bare["peak_bytes"], guarded["peak_bytes"]
    return (
        f"  {title}: bare {one / 2**20:.1f} MiB, guarded {other / 2**20:.1f} MiB, "
        f"ratio {other / one:.4f}"
    )


if __name__ == "__main__":
    main()
