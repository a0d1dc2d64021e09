import torch
import torch.nn as nn


def collate(items):
    specs, labels = zip(*items, strict=True)
    lengths = [len(label) for label in labels]
    padded = nn.utils.rnn.pad_sequence(labels, batch_first=True)
    return torch.stack(specs), padded, [len(spec) for spec in specs], lengths


torch.manual_seed(7)
items = []
for number in range(20):
    length = 14 if number == 9 else 2 + number % 2
    items.append((torch.randn(10, 8), torch.randint(1, 7, (length,))))
loader = torch.utils.data.DataLoader(items, batch_size=4, collate_fn=collate)
model = nn.Linear(8, 7)
criterion = nn.CTCLoss()  # <- here
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
for specs, labels, in_lengths, out_lengths in loader:
    optimizer.zero_grad()
    output = nn.functional.log_softmax(model(specs), dim=2).transpose(0, 1)
    loss = criterion(output, labels, in_lengths, out_lengths)
    loss.backward()
    optimizer.step()
    print(loss.item())
