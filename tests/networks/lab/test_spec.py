import os

import pytest

from stayfinite.errors import UsageError
from stayfinite.networks.lab.spec import read_spec

GOOD = """
[lab]
out = "o"
title = "t"
[defaults]
data = "videos"
depth = 34
[configurations.both]
[configurations."he only"]
l2 = 0
clipnorm = 1.0
"""

SAME = """
lab: {out: o, title: t}
defaults: {data: videos, depth: 34}
configurations:
  both:
  he only: {l2: 0, clipnorm: 1.0}
"""


@pytest.mark.parametrize("name, text", [("a.toml", GOOD), ("a.yaml", SAME), ("a.yml", SAME)])
def test_defaults_and_differences(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    spec = read_spec(tmp_path / name)
    both, he_only = spec.configurations
    assert (str(spec.out), spec.title) == ("o", "t")
    assert both.settings == {"data": str(tmp_path / "videos"), "depth": 34}
    assert he_only.settings == {**both.settings, "l2": 0, "clipnorm": 1.0}
    assert (he_only.name, he_only.folder) == ("he only", "he-only")


@pytest.mark.parametrize(
    "text, said",
    [
        ("[lab", "is not valid TOML"),
        ("[labs]", "unknown name 'labs' in .*; expected lab, defaults, configurations"),
        ("lab = 3", "expected tables"),
        ("[defaults]\ndata = 'a'", r"expected at least one table \[configurations.NAME\]"),
        ("[configurations.a]", "configuration 'a' in .* needs the setting 'data'"),
        ("[configurations.a]\ndata='x'\nrate=1", "unknown name 'rate' in configuration 'a'"),
        (
            "[configurations.a]\ndata='x'\ndepth='34'",
            "'depth' in .* must be of type int; received '34'",
        ),
        ("[configurations.a]\ndata='x'\nflip=1", "'flip' in .* must be of type bool; received 1"),
        (
            "[defaults]\ndata='x'\n[configurations.'a b']\n[configurations.'a-b']",
            "expected names that differ",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_spec(tmp_path / "a.toml")


@pytest.mark.parametrize("name", ["missing.toml", "a.json"])
def test_a_file_that_cannot_be_read(tmp_path, name):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UsageError, match=name):
        read_spec(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.toml")
    with pytest.raises(UsageError, match="not a file"):
        read_spec(tmp_path / "a.toml")
