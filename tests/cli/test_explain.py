"""`stayfinite explain` shows what lies in an incident folder."""

from __future__ import annotations

import io
import json
import sys
import time
from dataclasses import replace

import pytest

from stayfinite.cli import main
from stayfinite.errors import UsageError
from stayfinite.runner.outputs import RunPage
from tests.checkpoints import hostile
from tests.networks.data import permissions
from tests.report.incidents import SQRT
from tests.report.test_html import check


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


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_stream_that_cannot_print_every_character(encoding, tmp_path, monkeypatch):
    line = "x = größe * K.sqrt(ŷ)  # 文"
    start = len("x = größe * ".encode())
    origin = replace(SQRT.origin, column=start, end_column=start + 10, end_line=SQRT.origin.line)
    incident = replace(SQRT, source_line=line, origin=origin)
    (tmp_path / "incident.json").write_text(json.dumps(incident.to_json()), encoding="utf-8")

    def printed(*arguments):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["explain", *arguments, str(tmp_path)]) == 0
        out.flush()
        return out.buffer.getvalue().decode(encoding)

    assert json.loads(printed("--json")) == incident.to_json()
    lines = printed().splitlines()
    at = next(i for i, text in enumerate(lines) if "K.sqrt" in text)
    assert lines[at].endswith("K.sqrt(?)  # ??")
    assert lines[at].index("K.sqrt") == lines[at + 1].index("^")


def test_manifest_in_place_of_its_folder(folder, capsys):
    main(["explain", str(folder)])
    text = capsys.readouterr().out
    assert main(["explain", str(folder / "incident.json")]) == 0
    assert capsys.readouterr().out == text


def test_json(folder, capsys):
    assert main(["explain", "--json", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out) == SQRT.to_json()


def test_page(folder, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["explain", str(folder), "--html", str(page)]) == 0
    assert capsys.readouterr().out.startswith("error[singular-gradient]: ")
    check(page.read_text(encoding="utf-8"))


def test_page_of_figures_without_a_step(folder, tmp_path, capsys):
    figures = {"schema": "stayfinite.figures/1", "recent": {"steps": [], "in_sequence": True}}
    (folder / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    assert main(["explain", str(folder), "--html", str(tmp_path / "page.html")]) == 0


def test_page_that_cannot_be_written(folder, capsys):
    assert main(["explain", str(folder), "--html", str(folder)]) == 2
    assert "--html" in capsys.readouterr().err


def test_page_over_a_protected_file():
    with permissions.open_folder() as folder:
        page = folder / "report.html"
        page.write_text("mine")
        page.chmod(0o444)
        with permissions.as_nobody(), pytest.raises(UsageError, match="Permission denied; pass"):
            RunPage(page, "train.py")
        assert page.read_text() == "mine"


def test_the_folder_of_several_incidents_lists_them(folder, capsys):
    (folder / "incident-000004").mkdir()
    (folder / "incident.json").rename(folder / "incident-000004" / "incident.json")
    assert main(["explain", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"stayfinite: {folder} is a folder with 1 incident (incident-000004); pass one of them, as "
        f"{folder}/incident-000004\n"
    )


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


@pytest.mark.parametrize(
    "write", [hostile.fifo, hostile.device, hostile.link_to_itself, hostile.folder, hostile.sparse]
)
def test_what_is_no_file_or_has_no_end(tmp_path, capsys, write):
    write(tmp_path / "incident.json")
    assert main(["explain", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


MANY = [f"-old {i}\n+new {i}\n" for i in range(100_000)]


@pytest.mark.parametrize(
    "room, key, value, says",
    [
        ("origin", "line", 10**11, "line 100000000000 does not exist"),
        ("origin", "end_line", -1, "line -1 does not exist"),
        ("origin", "column", 10**4000, "too large for an incident"),
        ("where", "step", -(10**19), "too large for an incident"),
        ("origin", "samples", "[" * 100_000, "the incident is damaged"),
        ("origin", "samples", [[]] * 2_500_000, "more than 8,388,608 bytes"),
        ("cause", "message", "x" * 2_000_000, "a text of 2,000,000 characters"),
        (
            "origin",
            "operands",
            [{"shape": [10**15] * 10**5, "dtype": "f", "min": 0, "max": 0, "num_nonfinite": 0}],
            "an operand of 100,000 dimensions",
        ),
    ],
)
def test_what_no_incident_has_is_refused(tmp_path, capsys, room, key, value, says):
    data = SQRT.to_json()
    data[room][key] = value
    (tmp_path / "incident.json").write_text(json.dumps(data, default=str), encoding="utf-8")
    assert main(["explain", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert len(captured.err) < 700


def test_a_hundred_thousand_notes_reasons_and_changed_lines(tmp_path, capsys):
    data = SQRT.to_json()
    data["notes"] = data["because"] = MANY
    data["fix"]["diff"] = "--- a\n+++ b\n@@ -1 +1 @@\n" + "".join(MANY)[: 1 << 19]
    (tmp_path / "incident.json").write_text(json.dumps(data), encoding="utf-8")
    began = time.monotonic()
    assert main(["explain", str(tmp_path)]) == 0
    assert time.monotonic() - began < 10
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 24
    num_changed = len([line for line in data["fix"]["diff"].splitlines() if line[0] in "-+"]) - 2
    num_shown = out.count(" - old") + out.count(" + new")
    assert f"({num_changed - num_shown} more lines" in out


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_character_that_a_terminal_obeys(tmp_path, capsys, form):
    """Each text of the incident, and the name of its folder, has escape codes."""

    def infect(value):
        if isinstance(value, dict):
            return {key: infect(item) for key, item in value.items()}
        if isinstance(value, list):
            return [infect(item) for item in value]
        return f"{value}\x1b[31m\x9b2J\u202e\x07\x7f" if isinstance(value, str) else value

    data = infect(SQRT.to_json())
    clean = SQRT.to_json()
    for keys in (("schema",), ("where", "phase"), ("cause", "certainty"), ("fix", "kind"),
                 ("fix", "value")):  # fmt: skip
        source, target = clean, data
        for key in keys[:-1]:
            source, target = source[key], target[key]
        target[keys[-1]] = source[keys[-1]]
    for infected, trial in zip(data["trials"], clean["trials"], strict=True):
        infected["outcome"] = trial["outcome"]
    folder = tmp_path / "incident\x1b[31m"
    folder.mkdir()
    (folder / "incident.json").write_text(json.dumps(data), encoding="utf-8")
    assert main(["explain", *form, str(folder)]) == 0
    assert main(["explain", str(folder / "missing\x9b")]) == 2
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert not [char for char in text if char != "\n" and not char.isprintable()]
    if form:
        assert json.loads(captured.out)["cause"]["message"] == data["cause"]["message"]
