"""Continues a model that was trained in bfloat16 as `.half()`; one channel of it is very large.

Its hidden values reach 80000 for long inputs, which bfloat16 holds and float16 does not.
"""
# /// zoo
# cause = "half-overflow"
# step = 4
# rows = [2]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["H01", "H14", "transformers#14189"]
# ///

import torch
import torch.nn as nn

torch.manual_seed(12)


def build():
    return nn.Sequential(
        nn.Linear(8, 16),
        nn.ReLU(),
        nn.Linear(16, 16),  # at fault
        nn.LayerNorm(16),
    )


def pretrained():
    """The weights as another program saved them in bfloat16."""
    backbone = build()
    with torch.no_grad():
        backbone[0].weight[3] = 30.0
        backbone[2].weight[5, 3] = 40.0
    return {name: value.bfloat16() for name, value in backbone.state_dict().items()}


class FineTuner:
    def __init__(self, lr):
        self.backbone = build()
        self.backbone.load_state_dict(pretrained())
        self.head = nn.Linear(16, 3)
        self.backbone.half()
        self.head.half()
        params = [*self.backbone.parameters(), *self.head.parameters()]
        self.opt = torch.optim.SGD(params, lr=lr)

    def forward(self, x):
        hidden = self.backbone[1](self.backbone[0](x.half()))
        wide = self.backbone[2](hidden)
        return self.head(self.backbone[3](wide))

    def step(self, x, labels):
        self.opt.zero_grad()
        loss = nn.functional.cross_entropy(self.forward(x).float(), labels)
        loss.backward()
        self.opt.step()
        return loss.item()


inputs = torch.rand(64, 8)
inputs[4 * 8 + 2] = 9.0
labels = torch.randint(3, (64,))
tuner = FineTuner(lr=1e-2)
for number, (x, y) in enumerate(zip(inputs.split(8), labels.split(8))):
    print(number, tuner.step(x, y))
