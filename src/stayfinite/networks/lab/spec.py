"""The specification of a lab: a TOML or YAML file with one table for each configuration.

[lab]
out = "lab-out"          # folder for all files
title = "He and L2"

[defaults]               # settings of every configuration
data = "videos"
depth = 34

[configurations.both]    # settings that differ

[configurations."he only"]
l2 = 0.0
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from stayfinite.errors import UsageError
from stayfinite.files.reading import open_regular
from stayfinite.networks.training.settings import ResNet3DSettings

_SUFFIXES = (".toml", ".yaml", ".yml")
_TABLES = ("lab", "defaults", "configurations")
_LAB = ("out", "title")


@dataclass(frozen=True)
class Factors:
    """Further settings of a configuration: clipping, and mistakes of its loader."""

    clipnorm: float = 0.0  # of each gradient; 0 for none
    unfilled: bool = False  # the last batch has the full size, with unset samples
    constant: float = 0.0  # share of the samples of a batch replaced by one gray value


@dataclass(frozen=True)
class Configuration:
    """One training: the settings of `stayfinite train resnet3d`, and those of `Factors`."""

    name: str
    settings: dict[str, Any]

    @property
    def folder(self) -> str:
        """The name of its folder, below that of the lab."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-.") or "configuration"


@dataclass(frozen=True)
class Spec:
    """The specification of a lab."""

    out: Path
    title: str
    configurations: tuple[Configuration, ...]


def read_spec(path: str | Path) -> Spec:
    """Read and check a specification.

    Raises:
        UsageError: If the file cannot be read, or has an unknown table or setting.
    """
    path = Path(path)
    tables = _parsed(path)
    _check_names(tables, _TABLES, f"{path}")
    lab, defaults = tables.get("lab", {}), tables.get("defaults", {})
    _check_names(lab, _LAB, f"[lab] in {path}")
    if not tables.get("configurations"):
        raise UsageError(f"expected at least one table [configurations.NAME] in {path}")
    found = []
    for name, own in tables["configurations"].items():
        settings = {**defaults, **(own or {})}
        _check_settings(settings, f"configuration {name!r} in {path}")
        settings["data"] = str(path.parent / settings["data"])
        found.append(Configuration(str(name), settings))
    folders = [configuration.folder for configuration in found]
    for configuration in found:
        if folders.count(configuration.folder) > 1:
            raise UsageError(
                f"expected names that differ in letters or digits; received {configuration.name!r} "
                f"and another for the folder {configuration.folder}"
            )
    out = Path(lab.get("out", f"{path.stem}-out"))
    return Spec(out, str(lab.get("title", path.stem)), tuple(found))


def _parsed(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"expected a file with one of {' '.join(_SUFFIXES)}; received {path}")
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}") from error
    tables = _toml(path, text) if path.suffix.lower() == ".toml" else _yaml(path, text)
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise UsageError(f"expected tables {', '.join(_TABLES)} in {path}")
    return tables


def _toml(path: Path, text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise UsageError(
            f"cannot read {path} without PyYAML; run pip install 'stayfinite[train]', or write TOML"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is not valid YAML: {reason}") from error


def _check_names(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in known:
            raise UsageError(f"unknown name {name!r} in {where}; expected {', '.join(known)}")


def _check_settings(settings: dict[str, Any], where: str) -> None:
    known = {field.name: field for field in (*fields(ResNet3DSettings), *fields(Factors))}
    _check_names(settings, tuple(known), where)
    for name, field in known.items():
        if field.default is MISSING:
            if name not in settings:
                raise UsageError(f"{where} needs the setting {name!r}")
        elif name in settings and not _is_like(settings[name], field.default):
            kind = "str" if field.default is None else type(field.default).__name__
            raise UsageError(
                f"{name!r} in {where} must be of type {kind}; received {settings[name]!r}"
            )


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, str if default is None else type(default))
