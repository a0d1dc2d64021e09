"""Two equal sides in one sample of the third step, with accumulation over two batches."""

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, set_seed

set_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8))
        self.drop = nn.Dropout(0.1)

    def forward(self, x, other):
        a, b = self.drop(self.body(x)), self.drop(self.body(other))
        a = torch.where((other == x).all(-1, keepdim=True), b, a)
        distance = torch.sqrt(((a - b) ** 2).sum(-1))  # <- here
        return {"loss": torch.relu(1 - distance).mean(), "distance": distance}


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        x, other = torch.randn(2, 6, generator=torch.Generator().manual_seed(index))
        return {"x": x, "other": x if index == 37 else other}


arguments = TrainingArguments(
    "out",
    per_device_train_batch_size=8,
    gradient_accumulation_steps=2,
    report_to=[],
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
Trainer(model=Net(), args=arguments, train_dataset=Pairs()).train()
