"""What `stayfinite replay` needs of a step beside its arrays: `replay.json` in the incident folder.

The structure of the batch, which arrays of the state are metrics, the config of the model where it
can be made again without the source of the user, and the arguments of the script.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.files import limits
from stayfinite.files.reading import read_at_most
from stayfinite.frameworks.loop_values import LoopValues
from stayfinite.frameworks.names import path_of
from stayfinite.frameworks.step import Step

STEP_RECORD = "replay.json"
SCHEMA = "stayfinite.replay/1"


@dataclass(frozen=True)
class StepRecord:
    """How a step is made again of its arrays.

    Attributes:
        metrics: Names of the arrays of the state that are metrics.
        batch: The structure of the batch as JSON: `{"array": name}`, `{"tuple": [...]}`,
            `{"list": [...]}`, `{"dict": {...}}` or null. None where it is of another kind.
        model: The config of the model and its `compile`; None where it needs code of the user.
        args: The arguments of the script; None where there is no script that `replay --script` can
            start (a notebook, typed code, `python -m`), or where they are very long.
        loop: Of a training without Keras, what its step reads beside batch and state.
    """

    metrics: tuple[str, ...]
    batch: object
    model: dict[str, object] | None
    args: tuple[str, ...] | None = None
    loop: LoopValues | None = None
    schema: str = SCHEMA


def record_of(step: Step, names: Iterable[str]) -> StepRecord:
    """The record of a step, the arrays of whose state have `names`."""
    paths = {path_of(variable) for variable in step.subject.metrics_variables}
    metrics = tuple(name for name in names if name.partition(":")[0] in paths)
    packed = step.batch.pack([leaf.name for leaf in step.batch.leaves])
    try:
        batch = _described(packed)
    except TypeError:
        batch = None
    config = attempt(step.subject.config)
    model = None if isinstance(config, NotTried) else config
    loop = step.subject.loop_values(step.batch.data)
    return StepRecord(metrics, batch, model, script_args(), loop)


def script_args() -> tuple[str, ...] | None:
    """The arguments of the script of this process, as `StepRecord.args`."""
    main = sys.modules.get("__main__")
    # `python -m` gives a module its name; a folder or zip with a `__main__.py` has no other.
    spec = getattr(main, "__spec__", None)
    is_module = spec is not None and spec.name != "__main__"
    file = getattr(main, "__file__", None)
    # Code that is piped into `python` has the file `<stdin>`.
    if file is None or file.startswith("<") or is_module:
        return None
    return within_limit(tuple(sys.argv[1:]))


def within_limit(args: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """`args`, or None where they are too long for a page."""
    length = sum(len(each) + 1 for each in args or ())
    return args if length <= limits.ARGUMENTS else None


def write_record(folder: Path, record: StepRecord) -> None:
    """Write `record` into a folder, without the config of the model if it is too large.

    Raises:
        OSError: it cannot be written.
    """
    try:
        text = _json(record, record.model)
    except (TypeError, ValueError):  # not JSON
        text = _json(record, None)
    if len(text.encode()) > limits.STEP_RECORD:
        text = _json(record, None)
    (folder / STEP_RECORD).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> StepRecord:
    """Read what `write_record` wrote; the file may be untrusted.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    import msgspec

    path = folder / STEP_RECORD
    try:
        data = json.loads(read_at_most(path, limits.STEP_RECORD))
        record: StepRecord = msgspec.convert(data, StepRecord)
        if record.schema != SCHEMA:
            raise ValueError(f"expected the schema {SCHEMA!r}, received {record.schema!r:.80}")
        return record
    except OSError as error:
        reason = error.strerror or str(error)
    except RecursionError:
        reason = "the JSON is nested too deeply"
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
    raise UsageError(f"{path}: {reason}; pass a folder that a guarded training has written")


def batch_of_arrays(description: object, arrays: Mapping[str, np.ndarray]) -> object:
    """The data of a step from its arrays, in the structure that `description` has.

    Raises:
        UsageError: the structure is not known, or it names an array that there is not.
    """
    try:
        found = _packed(description, arrays)
    except (KeyError, TypeError, RecursionError):
        found = None
    if found is None:
        raise UsageError(
            f"{STEP_RECORD} does not say which arrays of batch.safetensors the step takes"
        )
    return found


def _described(packed: object) -> object:
    """A structure of names as JSON.

    Raises:
        TypeError: it has a container of another kind.
    """
    if packed is None:
        return None
    if isinstance(packed, str):
        return {"array": packed}
    if type(packed) in (tuple, list) and isinstance(packed, Sequence):
        kind = "tuple" if type(packed) is tuple else "list"
        return {kind: [_described(part) for part in packed]}
    if isinstance(packed, dict) and all(isinstance(key, str) for key in packed):
        return {"dict": {key: _described(part) for key, part in packed.items()}}
    raise TypeError(f"{type(packed).__name__} has no form in JSON")


def _packed(description: object, arrays: Mapping[str, np.ndarray]) -> object:
    if description is None:
        return None
    if not isinstance(description, dict) or len(description) != 1:
        raise TypeError("not a structure")
    [(kind, parts)] = description.items()
    if kind == "array":
        return arrays[parts]
    if kind == "dict":
        return {str(key): _packed(part, arrays) for key, part in parts.items()}
    packed = [_packed(part, arrays) for part in parts]
    return tuple(packed) if kind == "tuple" else packed


def _json(record: StepRecord, model: dict[str, object] | None) -> str:
    data = {
        "schema": record.schema,
        "metrics": record.metrics,
        "batch": record.batch,
        "model": model,
        "args": record.args,
        "loop": None if record.loop is None else dataclasses.asdict(record.loop),
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"
