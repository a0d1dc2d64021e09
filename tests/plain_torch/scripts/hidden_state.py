import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(12, 8)
        self.rnn = nn.GRU(8, 16)
        self.out = nn.Linear(16, 12)

    def forward(self, x, h):
        e, h = self.rnn(self.emb(x), h)
        return self.out(e), h


model = M()
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
text = torch.randint(0, 12, (400, 4))
hidden = torch.zeros(1, 4, 16)
i = 0
while i + 10 < 400:
    data, targets = text[i : i + 10], text[i + 1 : i + 11]
    hidden = hidden.detach()
    opt.zero_grad()
    logits, hidden = model(data, hidden)
    p = F.softmax(logits * (1 + i * 3), -1)
    loss = -torch.log(p.gather(-1, targets[..., None])).mean()  # <- here
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    opt.step()
    i += 10
