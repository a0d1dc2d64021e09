"""The same training; the log-variance is kept within what the exponential can hold."""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


class Patients(Dataset):
    def __init__(self, n=96):
        self.records = torch.randn(n, 8)
        self.records[7 * 8 + 4, 2] = 500.0

    def __len__(self):
        return len(self.records)

    def __getitem__(self, i):
        return {"record": self.records[i], "id": i}


class VAE(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 24), nn.ReLU())
        self.mu = nn.Linear(24, latent)
        self.log_var = nn.Linear(24, latent)
        nn.init.constant_(self.log_var.weight, 0.1)
        self.decoder = nn.Sequential(nn.Linear(latent, 24), nn.ReLU(), nn.Linear(24, 8))

    def reparameterize(self, mu, log_var):
        noise = torch.randn_like(mu)
        return mu + noise * torch.exp(0.5 * log_var)

    def forward(self, x):
        hidden = self.encoder(x)
        mu, log_var = self.mu(hidden), self.log_var(hidden).clamp(-30.0, 20.0)
        return self.decoder(self.reparameterize(mu, log_var)), mu, log_var


def loss_function(recon, x, mu, log_var):
    error = torch.nn.functional.smooth_l1_loss(recon, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
    return error + divergence


def train(epoch, model, loader, optimizer):
    model.train()
    train_loss = 0
    for batch_idx, batch in enumerate(loader):
        data = batch["record"]
        optimizer.zero_grad()
        recon, mu, log_var = model(data)
        loss = loss_function(recon, data, mu, log_var)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        if batch_idx % 6 == 0:
            print(f"Train Epoch: {epoch} [{batch_idx * len(data)}] {loss.item() / len(data):.4f}")


if __name__ == "__main__":
    torch.manual_seed(1)
    model = VAE()
    loader = DataLoader(Patients(), batch_size=8)
    train(1, model, loader, optim.Adam(model.parameters(), lr=1e-3))
