"""One of several processes prints the report of a step at which all of them have stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from types import SimpleNamespace

import pytest
import torch

from stayfinite.frameworks.failure import Resumption
from stayfinite.frameworks.torch.plain import private, reporting
from stayfinite.frameworks.torch.plain.processes import with_parallel
from stayfinite.frameworks.torch.plain.reporting import FoundByProcess
from stayfinite.guard.plain_torch import PlainTorchSteps
from stayfinite.guard.policies import Decision
from stayfinite.incident import Cause, Intervention, Recurrence
from stayfinite.report import text
from stayfinite.report.wording import processes
from stayfinite.runner.outputs import RunFile
from tests.report.incidents import SQRT

OTHER = dataclasses.replace(SQRT, recurrence=Recurrence("other-process", 1, 1, ()))


@pytest.mark.parametrize(
    ("orders", "expected"),
    [((3, 0), 1), ((0, 0), 0), ((3, 0, 2, 0), 1), ((2, 1), 1), ((3, 3), 0)],
)
@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without processes")
def test_every_process_names_the_same_one(orders, expected, monkeypatch):
    store, rank = torch.distributed.HashStore(), threading.local()
    monkeypatch.setattr(private, "store_of_processes", lambda: store)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank.number)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: len(orders))
    monkeypatch.setattr(reporting, "SECONDS_BETWEEN", 0.0)
    found = {}

    def run(number):
        rank.number = number
        found[number] = reporting.first_report(7, orders[number], f"folder {number}")

    running = [threading.Thread(target=run, args=(number,)) for number in range(len(orders))]
    for each in running:
        each.start()
    for each in running:
        each.join()
    first = FoundByProcess(expected, orders[expected], f"folder {expected}")
    assert found == {number: (number, first) for number in range(len(orders))}


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without processes")
def test_data_parallel_is_found_around_a_module_of_before(monkeypatch):
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        net, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        parallel = torch.nn.parallel.DistributedDataParallel(net)
        assert with_parallel([net]) == [net]  # there is one process
        monkeypatch.setattr("stayfinite.frameworks.torch.plain.processes.are_several", lambda: True)
        assert with_parallel([net, other]) == [parallel, other]
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("incident", "expected"), [(SQRT, 0), (OTHER, 3)])
def test_the_others_say_one_sentence(incident, expected):
    assert processes.order(incident) == expected
    said = processes.elsewhere(incident, 2, 1, "out/incident-7")
    shown = text.render(dataclasses.replace(incident, elsewhere=said))
    assert " ".join(shown.split()) == f"error[{incident.cause.name}]: {said}"
    assert "rank 1" in said and "rank 2" in said and said.endswith("out/incident-7")


def test_a_process_with_a_good_part_of_sharded_weights_knows_less():
    bad = dataclasses.replace(SQRT, cause=Cause("unknown", "unknown", ""))
    good = dataclasses.replace(
        bad, spread=dataclasses.replace(SQRT.spread, num_gradients_nonfinite=0)
    )
    assert [processes.order(each) for each in (bad, good)] == [2, 3]


def test_a_step_that_is_left_out_is_told_by_one_process(monkeypatch, tmp_path):
    made = Intervention("skip", 7, None, None, "unknown", "the step is left out", 7, None)
    incident = dataclasses.replace(OTHER, intervention=made)
    failure = SimpleNamespace(num_stopping=2, cannot_resume=None)
    told = {}
    for own in (0, 1):
        steps = PlainTorchSteps(tmp_path, None)
        monkeypatch.setattr(private, "store_of_processes", lambda: None)
        monkeypatch.setattr(reporting, "is_first", lambda own=own: own == 0)
        found = own, FoundByProcess(1, 0, "out/incident-7")
        monkeypatch.setattr(reporting, "first_report", lambda *_, found=found: found)
        lines = told[own] = []
        steps.say = lines.append

        def decide(failure, say):
            say("working")
            return Decision(incident, Resumption())

        monkeypatch.setattr(steps.measures, "decide", decide)
        monkeypatch.setattr(steps, "explaining", contextlib.nullcontext)
        assert steps.handle(failure) == Resumption()
    assert told[0] == ["working"]
    assert len(told[1]) == 1 and told[1][0].startswith("step ")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without processes")
def test_files_of_the_process_with_the_report_are_written_before_those_of_others(monkeypatch):
    store = torch.distributed.HashStore()
    monkeypatch.setattr(private, "store_of_processes", lambda: store)
    monkeypatch.setattr(reporting, "SECONDS_BETWEEN", 0.001)
    waiting, reported = reporting.EndInTurn(), reporting.EndInTurn()
    waiting.note(0, 1)
    reported.note(1, 1)
    order = []

    def end():
        with waiting.writing():
            order.append(0)

    other = threading.Thread(target=end)
    other.start()
    with reported.writing():
        other.join(0.05)
        order.append(1)
    other.join()
    assert order == [1, 0]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without processes")
def test_processes_that_have_a_report_each_do_not_wait_for_one_another(monkeypatch):
    monkeypatch.setattr(private, "store_of_processes", torch.distributed.HashStore)
    ending = reporting.EndInTurn()
    ending.note(0, 1)
    ending.note(0, 0)
    with ending.writing():
        pass


@pytest.mark.parametrize("recurrence", [OTHER.recurrence, None])
def test_a_run_file_with_the_cause_is_kept(recurrence, tmp_path):
    path = tmp_path / "run.json"
    files = [RunFile(path), RunFile(path)]
    said = processes.elsewhere(OTHER, 0, 1, "out/incident-7")
    told = dataclasses.replace(OTHER, recurrence=recurrence, elsewhere=said)
    files[1].write(3, 8, [SQRT], [])
    files[0].write(3, 8, [told], [])
    [incident] = json.loads(path.read_text(encoding="utf-8"))["incidents"]
    assert incident["elsewhere"] == ""


def test_a_shared_run_file_has_the_report_of_each_process(tmp_path):
    path = tmp_path / "run.json"
    files = [RunFile(path), RunFile(path)]
    later = dataclasses.replace(SQRT, where=dataclasses.replace(SQRT.where, step=900))
    told = [
        dataclasses.replace(each, elsewhere=processes.elsewhere(each, 0, 1, "out"))
        for each in (SQRT, later)
    ]
    files[0].write(0, 8, [SQRT, told[1]], [], [SQRT, later])
    first = json.loads(path.read_text(encoding="utf-8"))["incidents"]
    # The other one has a report that may not be finished, and writes after this.
    assert [each["elsewhere"] != "" for each in first] == [False, True]
    files[1].write(0, 8, [told[0], later], [], [SQRT, later])
    both = json.loads(path.read_text(encoding="utf-8"))["incidents"]
    assert [each["elsewhere"] for each in both] == ["", ""]
    assert [each["where"]["step"] for each in both] == [SQRT.where.step, 900]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without processes")
def test_processes_with_reports_write_in_the_order_of_their_ranks(monkeypatch):
    store = torch.distributed.HashStore()
    monkeypatch.setattr(private, "store_of_processes", lambda: store)
    order = []
    endings = [reporting.EndInTurn() for _ in range(2)]
    for own, ending in enumerate(endings):
        ending.note(own, 0)
        ending.note(own, 1)

    def end():
        with endings[1].writing():
            order.append(1)

    other = threading.Thread(target=end)
    other.start()
    with endings[0].writing():
        order.append(0)
    other.join()
    assert order == [0, 1]
