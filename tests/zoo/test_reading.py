"""A score that is read again is the score that was written."""

from pathlib import Path

import pytest

from tests.zoo.answers import CASE, RIGHT
from zoo.answer import Answer
from zoo.collect import Zoo
from zoo.guarded import STAYFINITE
from zoo.judging import judge
from zoo.reading import CannotReadError, read
from zoo.scoring import Innocent, Score
from zoo.writing import as_json

TOOLS = {STAYFINITE.name: STAYFINITE}


def written(folder: Path, name: str, *innocents: Innocent) -> Path:
    judgement = judge(CASE, "jax", RIGHT, STAYFINITE.tells)
    score = Score(STAYFINITE, "jax", [judgement] if not innocents else [], list(innocents))
    file = folder / name
    file.write_text(as_json([score]), encoding="utf-8")
    return file


def test_parts_are_put_together(tmp_path):
    control = Innocent("controls/floor", "control", "jax", Answer(False, 3.0), 2.0)
    files = [written(tmp_path, "a.json"), written(tmp_path, "b.json", control)]
    (score,) = read(files, Zoo((CASE,), ()), TOOLS)
    assert score.judgements == [judge(CASE, "jax", RIGHT, STAYFINITE.tells)]
    assert score.innocents == [control]


def test_a_script_that_is_gone_is_named(tmp_path):
    with pytest.raises(CannotReadError, match="log_of_zero/entropy"):
        read([written(tmp_path, "a.json")], Zoo((), ()), TOOLS)


def test_a_file_that_is_no_score_is_named(tmp_path):
    (tmp_path / "a.json").write_text("[{}]", encoding="utf-8")
    with pytest.raises(CannotReadError, match=r"a\.json"):
        read([tmp_path / "a.json"], Zoo((), ()), TOOLS)
