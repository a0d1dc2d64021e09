"""Settings of trainers, models and modules of installed libraries, read and replaced."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from stayfinite.frameworks.attributes import replaced
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.frameworks.torch.plain.modules import unwrapped
from stayfinite.frameworks.torch.plain.trainers import private

# Where the arguments begin that every trainer of Hugging Face has.
_COMMON_ARGUMENTS = "transformers.training_args"
# Attributes of normalisations that hold a small number to be added.
_EPSILONS = ("eps", "epsilon", "variance_epsilon", "norm_eps", "layer_norm_eps")
# The end of the name of a value that a model passes to its loss.
_OF_LOSS = "zero_infinity"
# Functions that compute a loss: the arguments before the last one, which is a setting.
_NUM_BEFORE = {"ctc_loss": 6}


def settings(
    trainer: object | None, modules: Sequence[torch.nn.Module], paths: Mapping[int, str]
) -> list[LibrarySetting]:
    """What can be replaced.

    Args:
        trainer: A trainer whose arguments are a dataclass in `args`, if there is one.
        modules: The outermost modules of the step.
        paths: The path of each module by its `id`.
    """
    of_models = [*_of_attention(modules), *_of_configs(modules)]
    return [*_of_trainer(trainer), *of_models, *_of_modules(modules, paths)]


@contextlib.contextmanager
def replaced_value(
    trainer: object | None,
    modules: Sequence[torch.nn.Module],
    setting: LibrarySetting,
    value: SettingValue,
) -> Iterator[None]:
    """Inside the block, the objects that hold `setting` have `value`.

    Raises:
        ChangeError: a model does not take this attention.
    """
    with contextlib.ExitStack() as stack:
        if setting.kind == "loss":
            function = _with(getattr(torch, setting.owner), setting, value)
            stack.enter_context(replaced(torch, setting.owner, function))
        elif setting.kind == "attention":
            for model in _models(modules):
                stack.enter_context(_attention(model, str(value)))
        else:
            for owner in _owners(trainer, modules, setting):
                stack.enter_context(replaced(owner, setting.attribute, value))
        yield


def _with(
    function: Callable[..., Any], setting: LibrarySetting, value: SettingValue
) -> Callable[..., Any]:
    """`function` with another value of its last argument."""
    num_before = _NUM_BEFORE[setting.owner]

    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args[:num_before], **{**kwargs, setting.name: value})

    return called


def _of_trainer(trainer: object | None) -> Iterator[LibrarySetting]:
    """Numbers and names among the arguments that this trainer has and others do not have."""
    arguments: Any = getattr(trainer, "args", None)
    if arguments is None or not dataclasses.is_dataclass(arguments):
        return
    ancestors: tuple[Any, ...] = inspect.getmro(type(arguments))
    kinds = [each for each in ancestors if each.__module__ == _COMMON_ARGUMENTS]
    others = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    for field in dataclasses.fields(arguments):
        value, default = getattr(arguments, field.name), field.default
        if field.name in others or isinstance(value, bool) or not isinstance(default, float | str):
            continue
        if isinstance(value, int | float | str):
            kind = type(arguments).__name__
            yield LibrarySetting("trainer", kind, field.name, field.name, value, default)


def _of_attention(modules: Sequence[torch.nn.Module]) -> Iterator[LibrarySetting]:
    for model in _models(modules)[:1]:
        given = private.attention_of(model)
        if given is not None:
            name = "attn_implementation"
            yield LibrarySetting("attention", type(model).__name__, name, name, given)


def _of_configs(modules: Sequence[torch.nn.Module]) -> Iterator[LibrarySetting]:
    for config in _configs(modules)[:1]:
        for key, value in vars(config).items():
            if key.endswith(_OF_LOSS) and isinstance(value, bool):
                yield LibrarySetting("config", type(config).__name__, key, key, value)


def _of_modules(
    modules: Sequence[torch.nn.Module], paths: Mapping[int, str]
) -> Iterator[LibrarySetting]:
    """The epsilons of modules; those that are alike are one setting."""
    keys = {
        value: key
        for config in _configs(modules)
        for key, value in vars(config).items()
        if key.endswith(("eps", "epsilon"))
    }
    for root in modules:
        seen: set[tuple[str, float]] = set()
        for module in root.modules():
            for attribute in _EPSILONS:
                value = vars(module).get(attribute)
                if not isinstance(value, float) or (attribute, value) in seen:
                    continue
                seen.add((attribute, value))
                path, name = paths.get(id(module), ""), keys.get(value, attribute)
                yield LibrarySetting("module", path, name, attribute, value)


def _owners(
    trainer: object | None, modules: Sequence[torch.nn.Module], setting: LibrarySetting
) -> Iterator[object]:
    if setting.kind == "module":
        for root in modules:
            for module in root.modules():
                if vars(module).get(setting.attribute) == setting.value:
                    yield module
        return
    if setting.kind == "config":
        yield from (each for each in _configs(modules) if setting.attribute in vars(each))
        return
    arguments: object = getattr(trainer, "args", None)
    for owner in (arguments, trainer):
        if owner is not None and setting.attribute in vars(owner):
            yield owner


def _models(modules: Sequence[torch.nn.Module]) -> list[torch.nn.Module]:
    """The outermost models of transformers, also inside a module of the user."""
    found: list[torch.nn.Module] = []
    for root in map(unwrapped, modules):
        inside: set[int] = set()
        for module in root.modules():
            if id(module) not in inside and callable(getattr(module, private.SET_ATTENTION, None)):
                found.append(module)
                inside |= {id(each) for each in module.modules()}
    return found


def _configs(modules: Sequence[torch.nn.Module]) -> list[object]:
    found = [getattr(model, "config", None) for model in _models(modules)]
    return [config for config in found if config is not None]


@contextlib.contextmanager
def _attention(model: torch.nn.Module, wanted: str) -> Iterator[None]:
    before = private.attention_of(model)
    private.set_attention(model, wanted)
    try:
        if private.attention_of(model) != wanted:
            raise ChangeError(f"{type(model).__name__} has no attention `{wanted}`")
        yield
    finally:
        private.set_attention(model, before)
