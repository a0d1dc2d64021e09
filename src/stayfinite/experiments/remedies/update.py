"""`bad-update`: which setting of the optimizer it was, by trying each with its default.

The gradients stay as they are: only the update is made again, on each backend by its own optimizer.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.line_watch import first_bad_line
from stayfinite.experiments.remedies.proof import Past, Proof, fix, tried
from stayfinite.frameworks.change import Arrays, Settings
from stayfinite.graph.frames import code_of, span_of
from stayfinite.graph.graph import Span
from stayfinite.graph.object_sites import last_setting, site_of
from stayfinite.graph.source_text import keyword_span
from stayfinite.incident import Trial

_RATE = 1e-3
_CLIPS = ("clipnorm", "global_clipnorm")
# Not hyperparameters, or none that makes a number non-finite.
_OTHERS = {"self", "name", "learning_rate", "kwargs", "args", "loss_scale_factor", "dynamic"}


@dataclass(frozen=True)
class _Setting:
    """One thing to try: `values` in the place of `shown`."""

    optimizer: Any
    name: str
    shown: str
    values: dict[str, Any]

    @property
    def change(self) -> str:
        return ", ".join(f"{name}={_short(value)}" for name, value in self.values.items())


def prove(past: Past) -> Proof:
    """The first setting with whose default the update is finite, and a proof that it is."""
    finding = _placed(past, past.finding)
    if finding.tensor is not None:
        return _set_anew(past, finding, finding.tensor)
    trials: list[Trial] = []
    blamed: Finding | None = None
    for setting in _settings(past):
        trial, goes_on = tried(past, setting.change, Settings(setting.values))
        if trial.outcome == "non-finite":
            continue
        trials.append(trial)
        found = _blamed(finding, setting)
        if goes_on:
            return Proof(found, fix("setting", _text(setting)), tuple(trials))
        blamed = blamed or found
    return Proof(blamed or finding, None, tuple(trials))


def _set_anew(past: Past, finding: Finding, name: str) -> Proof:
    """A variable of the optimizer that came in bad: its rate, or a slot that something wrote to."""
    is_rate = name.endswith("learning_rate")
    array = past.step.state_arrays()[name]
    value = np.full_like(array, _RATE if is_rate else 0.0)
    shown = f"learning_rate={_short(_RATE)}" if is_rate else f"`{name}` set to 0"
    trial, goes_on = tried(past, shown, Arrays({name: value}))
    if not goes_on:
        return Proof(finding, None, (trial,))
    was = f"`{name}`" if array.ndim else f"`{name}`, {float(array):g}"
    text = f"set the learning rate to a finite value: with {_short(_RATE)} in the place of {was}"
    if not is_rate:
        text = f"leave `{name}` to the optimizer: with 0 in its place"
    return Proof(finding, fix("setting", f"{text} this step is finite"), (trial,))


def _settings(past: Past) -> Iterator[_Setting]:
    for optimizer in past.step.subject.optimizers:
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        rate = _rate(inner)
        # Some divide by the rate.
        if rate is not None and (rate == 0 or not math.isfinite(rate)):
            yield _Setting(inner, "learning_rate", _short(rate), {"learning_rate": _RATE})
        yield from _hyperparameters(inner)
        if rate is not None and math.isfinite(rate) and abs(rate) > 1.0:
            yield _Setting(inner, "learning_rate", _short(rate), {"learning_rate": _RATE})
        if any(getattr(v, "constraint", None) for v in getattr(inner, "_trainable_variables", ())):
            yield _Setting(inner, "constraint", "set", {"constraint": None})


def _hyperparameters(optimizer: Any) -> Iterator[_Setting]:
    """Numbers that the constructor takes, which are not its default."""
    for name, default in _defaults(type(optimizer)).items():
        now = getattr(optimizer, name, default)
        if isinstance(now, bool) or not isinstance(now, int | float) or now == default:
            continue
        if name in _CLIPS:
            yield _Setting(optimizer, name, _short(now), {name: None})
            yield _Setting(optimizer, name, _short(now), {name: None, "clipvalue": 0.5})
        else:
            yield _Setting(optimizer, name, _short(now), {name: default})


def _defaults(kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for owner in kind.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        for name, parameter in inspect.signature(vars(owner)["__init__"]).parameters.items():
            numeric = isinstance(parameter.default, int | float | None)
            if name not in _OTHERS and parameter.default is not parameter.empty and numeric:
                found.setdefault(name, parameter.default)
    return found


def _rate(optimizer: Any) -> float | None:
    try:
        return float(np.asarray(_host(optimizer.learning_rate)))
    except Exception:
        # A schedule of the user's own may want more than its optimizer can give here.
        return None


def _host(value: Any) -> Any:
    value = getattr(value, "value", value)
    return value.detach().cpu() if hasattr(value, "detach") else value


def _blamed(finding: Finding, setting: _Setting) -> Finding:
    owner = type(setting.optimizer).__name__
    what = f"`{setting.name}={setting.shown}` of `{owner}`"
    if setting.name == "learning_rate":
        schedule = _schedule(setting.optimizer)
        of = f"`{owner}`" if schedule is None else f"`{_name(schedule)}`"
        what = f"the learning rate {setting.shown} of {of}"
    if setting.name == "constraint":
        what = "a constraint of the weights"
    head = finding.message.split(":")[0]
    found = dataclasses.replace(finding, message=f"{head}: {what} is at fault")
    site = site_of(setting.optimizer)
    given = None if site is None else keyword_span(site, setting.name)
    return found if given is None else dataclasses.replace(found, span=given)


def _text(setting: _Setting) -> str:
    owner = type(setting.optimizer).__name__
    if setting.name == "constraint":
        return (
            "leave the constraint out, or keep its divisor above 0: without it this step is finite"
        )
    if setting.name == "learning_rate":
        schedule = _schedule(setting.optimizer)
        who = "the callback or setting that gave it" if schedule is None else _name(schedule)
        return f"make {who} give a finite learning rate: with {_short(_RATE)} this step is finite"
    given = " and ".join(f"`{name}={_short(value)}`" for name, value in setting.values.items())
    return f"create `{owner}` with {given}, in the place of `{setting.name}={setting.shown}`"


def _placed(past: Past, finding: Finding) -> Finding:
    """The finding with the user's line, where no op of the trace shows it."""
    evidence = past.diagnosis.evidence
    op = evidence.op
    if finding.span is not None or (op is not None and op.stack):
        return finding
    span: Span | None = None
    for optimizer in past.step.subject.optimizers:
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        rate = _rate(inner)
        if rate is not None and not math.isfinite(rate):
            schedule = _schedule(inner)
            span = _line_of(schedule) if schedule is not None else last_setting(inner)
        if span is None and finding.tensor is not None:
            span = site_of(optimizer) or site_of(inner)
        if span is not None:
            break
    return finding if span is None else dataclasses.replace(finding, span=span)


def _schedule(optimizer: Any) -> Any:
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if callable(rate) and not hasattr(rate, "assign") else None


def _line_of(schedule: Any) -> Span | None:
    """Where the user wrote a schedule: its code, or the line that created a library's."""
    if not hasattr(schedule, "get_config"):
        line = first_bad_line(schedule)
        if line is not None:
            return line
    code = code_of(schedule)
    return (None if code is None else span_of(code)) or site_of(schedule)


def _name(schedule: Any) -> str:
    name = getattr(schedule, "__name__", type(schedule).__name__)
    return "the schedule" if name == "<lambda>" else str(name)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
