"""Scripts with a trainer of Hugging Face or Lightning under `run`.

`make test-all` installs these libraries.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from stayfinite.replay.patched_program import patched_file
from tests import warm

HERE = Path(__file__).parent / "trainers"
MARK = "# <- here"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """What must be said of a script; the line is where its mark is, else in the library."""

    script: str
    cause: str
    step: int
    by: str
    library: str | None = None
    fix: str | None = None

    @property
    def needs(self) -> str:
        return self.script.partition("_")[0]


CASES = [
    Case("transformers_pairs", "singular-gradient", 2, "2 calls of Trainer.training_step"),
    Case(
        "transformers_half",
        "half-overflow",
        0,
        "Trainer.training_step",
        "transformers",
        "load the model with `dtype=torch.bfloat16`",
    ),
    Case(
        "transformers_masked",
        "fully-masked-row",
        2,
        "InOrder.training_step",
        "transformers",
        'load `LlamaForCausalLM` with `attn_implementation="sdpa"`',
    ),
    Case(
        "transformers_ctc",
        "bad-target",
        2,
        "InOrder.training_step",
        "transformers",
        "create `Wav2Vec2Config` with `ctc_zero_infinity=True`",
    ),
    Case(
        "trl_exponential",
        "overflow",
        2,
        "DPOTrainer.training_step",
        "trl",
        "create `DPOConfig` with `beta=0.1`",
    ),
    Case("lightning_accumulated", "division-by-zero", 2, "3 calls of LightningModule"),
    Case("lightning_manual", "log-of-zero", 11, "LightningModule.training_step"),
]


def _require(library: str):
    pytest.importorskip(library)
    if library != "lightning":
        pytest.importorskip("accelerate")  # which `transformers` does not install


def run(folder: Path, name: str):
    shutil.copy(HERE / f"{name}.py", folder)
    done = warm.stayfinite(folder, "run", "--json", "run.json", f"{name}.py")
    return done, json.loads((folder / "run.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script)
def test_the_step_is_made_again_by_the_trainer(case, tmp_path):
    _require(case.needs)
    done, file = run(tmp_path, case.script)
    assert done.returncode == 3, done.stderr
    [incident] = file["incidents"]
    where = (incident["where"]["step"], incident["cause"]["name"])
    assert where == (case.step, case.cause), done.stderr
    assert f"from: {case.by}" in incident["made_again"]
    assert incident["made_again"].endswith("bit-equal to training")
    origin = incident["origin"]
    assert origin["library"] == case.library
    if case.library is None:
        lines = (HERE / f"{case.script}.py").read_text(encoding="utf-8").splitlines()
        [marked] = [number for number, line in enumerate(lines, 1) if line.endswith(MARK)]
        assert (origin["file"], origin["line"]) == (f"{case.script}.py", marked)
    else:
        assert origin["file"].startswith(f"{case.library}/") and incident["source_line"]
        assert incident["fix"]["verified"] and incident["fix"]["text"].startswith(case.fix)


CALLBACKS = {
    "transformers_pairs": ("train_dataset=Pairs()", "stayfinite.transformers.Guard()"),
    "lightning_accumulated": ("max_epochs=2", "stayfinite.lightning.Guard()"),
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_the_callback_does_the_same_without_run(name, tmp_path):
    _require(name.partition("_")[0])
    argument, guard = CALLBACKS[name]
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    text = f"import stayfinite\n{text}".replace(argument, f"{argument}, callbacks=[{guard}]")
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    done = warm.script(tmp_path, "x.py")
    assert done.returncode == 1
    assert "NonFiniteError" in done.stderr and "bit-equal to" in done.stderr


def test_a_healthy_training_is_left_bit_for_bit(tmp_path):
    _require("transformers")
    done, file = run(tmp_path, "healthy_transformers")
    bits = [line for line in done.stderr.splitlines() if "0x" in line]
    plain = warm.script(tmp_path, "healthy_transformers.py")
    assert bits and bits == [line for line in plain.stderr.splitlines() if "0x" in line]
    assert (done.returncode, file["num_steps"], file["incidents"]) == (0, 9, [])


def test_a_repaired_training_has_the_weights_of_the_repaired_script(tmp_path):
    _require("transformers")
    text = (HERE / "transformers_pairs.py").read_text(encoding="utf-8")
    text = text.replace("Trainer(model=Net()", "net = Net()\nTrainer(model=net")
    text += "for p in net.parameters():\n    print('end', p.detach().numpy().tobytes().hex())\n"
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    options = ("--policy", "repair", "--json", "run.json")
    done = warm.stayfinite(tmp_path, "run", *options, "x.py")
    assert done.returncode == 0, done.stderr
    [incident] = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["incidents"]
    patched = patched_file(incident["intervention"]["diff"], str(tmp_path / "x.py"))
    (tmp_path / "repaired.py").write_bytes(patched.content)
    repaired = warm.script(tmp_path, "repaired.py")
    ends = [line for line in repaired.stderr.splitlines() if line.startswith("end ")]
    assert ends and ends == [line for line in done.stderr.splitlines() if line.startswith("end ")]
