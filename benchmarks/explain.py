"""What an explanation costs: `python -m benchmarks.explain`.

Each network is trained on a batch that brings out the mistake that belongs to it, in
`benchmarks/bugs/`. Prints the seconds from the bad step to the report, the same as a multiple of
one eager step, and the peak memory in relation to the bare training.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks import processes

NAMES = ["siamese", "resnet3d", "mlp"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain")
    processes.add_options(parser, NAMES)
    options = parser.parse_args()
    answers = []
    for backend, python in processes.backends(options).items():
        for network in options.network:
            parts = {
                what: processes.measure(python, backend, "explain_child", what, network)
                for what in ("explain", "bare", "eager")
            }
            answers.append({"backend": backend, "network": network, **parts})
            print(render(answers[-1]), end="\n\n", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(answers, indent=1) + "\n")


def render(answer: dict[str, Any]) -> str:
    """One network's explanation in numbers."""
    title, found = f"{answer['network']} on {answer['backend']}", answer["explain"]
    if "error" in found:
        return f"{title}\n  not measured: {found['error']}"
    wall, eager = found["wall_seconds"], answer["eager"].get("eager_step_seconds")
    lines = [
        f"{title}: {found['cause']}, fix {'verified' if found['fix'] else 'not verified'}",
        f"  bad step to report     {wall:9.2f} s, {found['seconds']:.2f} s of it the explanation",
    ]
    lines += [f"    {part:<21}{seconds:9.2f} s" for part, seconds in found["parts"].items()]
    lines += [
        "  one eager step         "
        + (f"not measured: {answer['eager']['error']}" if eager is None else f"{eager:9.3f} s"),
    ]
    if eager is not None:
        lines.append(f"  the report in steps    {wall / eager:9.1f}")
    lines += [_memory(found, answer["bare"]), f"  trials                 {len(found['trials']):9}"]
    lines += [f"    {trial}" for trial in found["trials"]]
    return "\n".join([*lines, *(f"  note: {note}" for note in found["notes"])])


def _memory(found: dict[str, Any], bare: dict[str, Any]) -> str:
    if "error" in bare:
        return f"  peak memory            not measured: {bare['error']}"
    peak, plain = found["peak_bytes"], bare["peak_bytes"]
    return (
        f"  peak memory            {peak / plain:9.2f} of the bare training's "
        f"{plain / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
