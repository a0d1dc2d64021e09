"""The same training; positions without a legal move are left out of the loss."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(0)
np.random.seed(0)
N_MOVES = 7


class PolicyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(14, 32)
        self.fc2 = nn.Linear(32, N_MOVES)

    def forward(self, board, legal):
        logits = self.fc2(torch.relu(self.fc1(board)))
        finished = ~legal.any(dim=-1, keepdim=True)
        logits = logits + (legal | finished).float().log()
        return torch.log_softmax(logits, dim=-1).masked_fill(finished, 0.0)


class Memory:
    def __init__(self):
        self.board = np.random.randn(240, 14).astype(np.float32)
        self.legal = np.random.rand(240, N_MOVES) < 0.6
        self.legal[:, 0] |= ~self.legal.any(axis=1)
        self.reward = np.random.randn(240).astype(np.float32)
        self.move = np.array([np.random.choice(np.flatnonzero(row)) for row in self.legal])
        self.legal[14 * 10 + 6] = False

    def slices(self, n):
        for start in range(0, 240, n):
            part = slice(start, start + n)
            yield (
                torch.from_numpy(self.board[part]),
                torch.from_numpy(self.legal[part]),
                torch.from_numpy(self.move[part]),
                torch.from_numpy(self.reward[part]),
            )


policy = PolicyNet()
optimizer = optim.Adam(policy.parameters(), lr=1e-3)
baseline = 0.0
for board, legal, move, reward in Memory().slices(10):
    log_probs = policy(board, legal)
    taken = log_probs[torch.arange(len(move)), move]
    loss = -(taken * (reward - baseline)).mean()
    baseline = 0.9 * baseline + 0.1 * reward.mean().item()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(policy.parameters(), 1.0)
    optimizer.step()
print("done", loss.item())
