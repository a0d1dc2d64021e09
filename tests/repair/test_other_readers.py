"""Whether a program reads what a network gives at other places than are known."""

from __future__ import annotations

import ast
import linecache

import pytest

from stayfinite.graph.graph import Span
from stayfinite.repair import (
    SourceFile,
    is_called_and_trained,
    other_readers,
    reads_elsewhere,
    unfollowed_calls,
    unfollowed_object,
)

DISC = "D = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())\nG = nn.Linear(4, 8)\n"
LOSS = "loss = log(D(x)).mean()\n"
CLASS = """
class Net(nn.Module):
    def __init__(self):
        self.net = nn.Linear(3, 1)

    def forward(self, x):
        return torch.sigmoid(self.net(x))


class Other(nn.Module):
    def __init__(self):
        self.net = nn.Linear(3, 1)

    def forward(self, x):
        return self.net(x)


def build():
    model = Net()
    return model.to("cpu")


def train(model, x):
    return log(model(x))


"""


@pytest.fixture(autouse=True)
def no_other_files(monkeypatch):
    monkeypatch.setattr(linecache, "cache", {})


def reads(folder, text, known, other=""):
    """Whether the calls with the text `known` have company in `text` or in another file."""
    return reads_elsewhere(positions(folder, text, known, other))


def positions(folder, text, known, other=""):
    paths = folder / "train.py", folder / "tools.py"
    for path, content in zip(paths, (text, other), strict=True):
        path.write_text(content)
        linecache.getlines(str(path))
    source = SourceFile.read(paths[0])
    calls = [
        Span(str(paths[0]), n.lineno, n.col_offset, n.end_lineno, n.end_col_offset, "<module>")
        for n in ast.walk(source.tree)
        if isinstance(n, ast.Call) and source.text_of(n) == known
    ]
    assert calls
    return calls


@pytest.mark.parametrize(
    "more",
    [
        "loss_g = log(D(G(z)))\n",
        "loss_g = log(D.forward(G(z)))\n",
        "fast = torch.compile(D)\nhits = fast(x) > 0.5\n",
        "nets = {'d': D}\nhits = nets['d'](x) > 0.5\n",
        "for net in (G, D):\n    net(x)\n",
        "def hits(net, x):\n    return net(x) > 0.5\nhits(D, x)\n",
        "def hits(y):\n    return D(y) > 0.5\n",
        "class Judge:\n    def __init__(self, net):\n        self.net = net\n"
        "    def hits(self, x):\n        return self.net(x) > 0.5\nJudge(net=D)\n",
        "hits = list(map(D, rows))\n",
        "p = D.predict(x)\n",
        "old = torch.compile(G)\nnew = torch.compile(D)\nhits = new(x) > 0.5\n",
        "nets = []\nnets.append(D)\nfor net in nets:\n    net(x)\n",
    ],
)
def test_another_reader_is_found(tmp_path, more):
    assert reads(tmp_path, DISC + LOSS + more, "D(x)")


@pytest.mark.parametrize(
    "more",
    [
        "opt = Adam(D.parameters())\nD.train()\nopt_g = Adam(G.parameters())\nfake = G(z)\n",
        "def grow(D):\n    return D(3)\n",
        "history = D.fit(x)\n",
        "def count(net):\n    return sum(p.numel() for p in net.parameters())\ncount(D)\n",
    ],
)
def test_what_calls_another_object_is_no_reader(tmp_path, more):
    assert not reads(tmp_path, DISC + LOSS + more, "D(x)")


def test_a_network_is_followed_to_the_functions_that_it_is_passed_to(tmp_path):
    text = CLASS + "model = build()\ntrain(model, x)\nother = Other()\nother(x)\n"
    assert not reads(tmp_path, text, "model(x)")
    assert reads(tmp_path, text + "print(model(y))\n", "model(x)")


def test_a_reader_in_another_file_is_found(tmp_path):
    text = "import tools\n" + DISC + LOSS
    use = "tools.hits(D, x)\n"
    assert reads(tmp_path, text + use, "D(x)", "def hits(net, x):\n    return net(x) > 0.5\n")
    assert not reads(tmp_path, text + use, "D(x)", "def hits(net, x):\n    return x > 0.5\n")


def test_a_program_with_too_many_files_is_not_followed(tmp_path, monkeypatch):
    text = "import tools\n" + DISC + LOSS
    assert not reads(tmp_path, text, "D(x)")
    monkeypatch.setattr(other_readers, "_MAX_FILES", 1)
    assert reads(tmp_path, text, "D(x)")


def test_a_file_that_is_related_by_no_import_does_not_have_the_network(tmp_path):
    text = DISC + "def step(net, x):\n    return log(net(x))\n\nstep(D, x)\n"
    other = "def step(net, x):\n    return net(x) > 0.5\n"
    assert not reads(tmp_path, text, "net(x)", other)
    assert reads(tmp_path, text, "net(x)", "from train import D\nprint(D(x))\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("D = Sequential([Dense(1)])\nD.fit(x)\ngan = Model(z, D(G(z)))\n", True),
        ("D = Sequential([Dense(1)])\nD.fit(x)\nD.evaluate(x)\nD.predict(x)\n", False),
        ("head = Dense(1)\nmodel = Model(x, head(x))\nmodel.fit(x)\n", False),
    ],
)
def test_a_trained_network_may_be_a_part_of_another_one(text, expected):
    source = SourceFile("train.py", text)
    made = next(n for n in ast.walk(source.tree) if isinstance(n, ast.Call))
    made = next(n for n in ast.walk(made) if isinstance(n, ast.Call) and n.func.id == "Dense")
    assert is_called_and_trained(source, made) is expected


@pytest.mark.parametrize(
    "more",
    [
        "D[-1].register_forward_hook(note)\n",
        "for part in D.modules():\n    part.register_forward_hook(note)\n",
        "judge = library.Judge(D)\n",
        "watchers = [library.Watcher(net=D)]\n",
        "library.measure({'d': D}, x)\n",
        "class Pair:\n    def __init__(self, net):\n        self.net = net\n"
        "    def of(self, name):\n        return getattr(self, name)(x)\nPair(D).of('net')\n",
        "print(globals()[name](x))\n",
    ],
)
def test_a_use_that_cannot_be_followed_is_named(tmp_path, more):
    use = unfollowed_calls(positions(tmp_path, DISC + LOSS + more, "D(x)"))
    assert use.path == "train.py" and use.text in more
    assert use.line == 4 + more[: more.index(use.text)].count("\n")


@pytest.mark.parametrize(
    "more",
    [
        "opt = Adam(D.parameters())\nD = torch.compile(D.to('cpu'))\nprint(D)\nD.apply(init)\n",
        "def count(net):\n    return sum(p.numel() for p in net.parameters())\ncount(D)\n",
        "act = getattr(torch, args.act)\nrate = getattr(args, name)\n",
        "class Log:\n    def put(self, name):\n        return getattr(self, name)\nLog().put(x)\n",
        "torch.save(D.state_dict(), path)\nlibrary.plot(losses)\n",
    ],
)
def test_what_calls_no_network_can_be_followed(tmp_path, more):
    assert unfollowed_calls(positions(tmp_path, DISC + LOSS + more, "D(x)")) is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("D.fit(x, callbacks=[library.Judge(D)])\n", "library.Judge(D)"),
        ("D.compile('adam')\nD.fit(x)\nD.save('d.keras')\n", None),
    ],
)
def test_a_model_is_followed_from_where_it_is_made(more, expected):
    source = SourceFile("train.py", "D = Sequential([Dense(1)])\n" + more)
    made = next(n for n in ast.walk(source.tree) if isinstance(n, ast.Call))
    made = next(n for n in ast.walk(made) if isinstance(n, ast.Call) and n.func.id == "Dense")
    use = unfollowed_object(source, made)
    assert (use and use.text) == expected


def test_what_a_layer_is_made_with_is_not_the_network():
    text = """
width, shape = 4, (8, 4)
start = initializers.Constant(1.0)
D = Sequential([Dense(width), Reshape(shape), Dense(1, kernel_initializer=start)])
rows = library.zeros((8, width), shape)
other = library.Layer(1, bias_initializer=start)
"""
    source = SourceFile("train.py", text)
    made = next(n for n in ast.walk(source.tree) if last_called(n) == "Sequential")
    assert unfollowed_object(source, made) is None


def last_called(node):
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
