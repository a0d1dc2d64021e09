"""`stayfinite explain` shows what lies in an incident folder."""

from __future__ import annotations

import json

import pytest

from stayfinite.cli import main
from tests.report.incidents import SQRT


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "incident.json").write_text(json.dumps(SQRT.to_json()), encoding="utf-8")
    return tmp_path


def test_text(folder, capsys):
    assert main(["explain", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("error[singular-gradient]: ")
    assert len(out.splitlines()) <= 24
    assert all(len(line) <= 100 for line in out.splitlines())
    assert "\x1b" not in out


def test_manifest_in_place_of_its_folder(folder, capsys):
    main(["explain", str(folder)])
    text = capsys.readouterr().out
    assert main(["explain", str(folder / "incident.json")]) == 0
    assert capsys.readouterr().out == text


def test_json(folder, capsys):
    assert main(["explain", "--json", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out) == SQRT.to_json()


@pytest.mark.parametrize(
    "content, says",
    [
        (None, "No such file or directory"),
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "expected an incident with schema"),
        ('{"schema": "stayfinite.incident/99"}', "received 'stayfinite.incident/99'"),
        ('{"schema": "stayfinite.incident/1"}', "the incident is damaged"),
        ('{"schema": "stayfinite.incident/1", "origin": []}', "the incident is damaged"),
    ],
)
def test_missing_or_damaged(tmp_path, capsys, content, says):
    if content is not None:
        (tmp_path / "incident.json").write_text(content)
    assert main(["explain", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1


def test_not_text(tmp_path, capsys):
    (tmp_path / "incident.json").write_bytes(b"\xff\xfe\x00")
    assert main(["explain", str(tmp_path / "incident.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
