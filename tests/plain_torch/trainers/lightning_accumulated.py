"""A target without a length, divided by; three batches a step, clipping, bfloat16, dict batches."""

import lightning
import torch
from torch import nn

lightning.seed_everything(0)


class Embedding(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        self.drop = nn.Dropout(0.1)

    def training_step(self, batch, index):
        z = self.drop(self.net(batch["image"]))
        unit = batch["target"] / batch["target"].norm(dim=-1, keepdim=True)  # <- here
        return {"loss": (z - unit).square().mean()}

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), 1e-3)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        target = torch.randn(3, generator=generator) * (index != 50)
        return {"image": torch.randn(6, generator=generator), "target": target}


trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    accumulate_grad_batches=3,
    gradient_clip_val=0.5,
    precision="bf16-mixed",
)
trainer.fit(Embedding(), torch.utils.data.DataLoader(Images(), batch_size=6))
