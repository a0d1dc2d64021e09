"""A healthy training with accumulation and clipping; prints its last loss and weights."""

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, set_seed

set_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(8, 3)

    def forward(self, x, labels):
        logits = self.head(self.body(x))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        x = torch.randn(6, generator=torch.Generator().manual_seed(index))
        return {"x": x, "labels": int(x.argmax()) % 3}


arguments = TrainingArguments(
    "out",
    per_device_train_batch_size=8,
    gradient_accumulation_steps=3,
    max_grad_norm=0.5,
    report_to=[],
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
    logging_strategy="no",
)
model = Net()
Trainer(model=model, args=arguments, train_dataset=Data()).train()
for name, value in model.state_dict().items():
    print(name, value.double().sum().item().hex(), value.double().square().sum().item().hex())
