"""A GAN with manual optimization; one picture is so bright that the discriminator saturates."""

import lightning
import torch
from torch import nn

lightning.seed_everything(0)


class Gan(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.make = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 6))
        self.judge = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())

    def training_step(self, batch, index):
        (real,) = batch
        of_maker, of_judge = self.optimizers()
        loss = -torch.log(self.judge(self.make(torch.randn(len(real), 4)))).mean()
        of_maker.zero_grad()
        self.manual_backward(loss)
        of_maker.step()
        made = self.make(torch.randn(len(real), 4)).detach()
        loss = -(torch.log(self.judge(real)) + torch.log(1 - self.judge(made))).mean()  # <- here
        of_judge.zero_grad()
        self.manual_backward(loss)
        of_judge.step()

    def configure_optimizers(self):
        networks = (self.make, self.judge)
        return [torch.optim.Adam(network.parameters(), 1e-3) for network in networks]


real = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
real[44] *= 3e3
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(real), batch_size=8)
trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
)
trainer.fit(Gan(), loader)
