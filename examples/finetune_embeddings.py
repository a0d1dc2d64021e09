"""Fine-tuning of a text embedding with the Trainer of Hugging Face, with one empty text.

The embedding of a text is the mean over its tokens. A text without a token has a mean over nothing.
The log of the Trainer leaves out a loss that is NaN, so its curve falls to 0 while every weight is
NaN.

    python finetune_embeddings.py                 # a loss of 0 over weights that are NaN
    stayfinite run finetune_embeddings.py         # stops before the update, and says why
    python finetune_embeddings.py --fixed         # the count is at least 1
"""

import argparse

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import BertConfig, BertModel, Trainer, TrainingArguments, set_seed

LENGTH = 12


class Embedding(nn.Module):
    def __init__(self, fixed):
        super().__init__()
        self.fixed = fixed
        self.encoder = BertModel(
            BertConfig(
                vocab_size=40,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=LENGTH,
            ),
            add_pooling_layer=False,
        )

    def embed(self, tokens):
        mask = (tokens > 0).float()
        hidden = self.encoder(tokens, attention_mask=mask).last_hidden_state
        count = mask.sum(dim=1, keepdim=True)
        if self.fixed:
            count = count.clamp(min=1.0)
        return (hidden * mask[:, :, None]).sum(dim=1) / count

    def forward(self, text, other):
        scores = self.embed(text) @ self.embed(other).T
        loss = nn.functional.cross_entropy(scores, torch.arange(len(scores)))
        return {"loss": loss}


class Pairs(Dataset):
    """Two versions of a text: half of its words are the same."""

    def __len__(self):
        return 960

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        text = torch.randint(1, 40, (LENGTH,), generator=generator)
        other = torch.randint(1, 40, (LENGTH,), generator=generator)
        other[::2] = text[::2]
        if index == 437:
            text[:] = 0  # an empty text
        return {"text": text, "other": other}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="divide by 1 where there is no token")
    set_seed(0)
    model = Embedding(parser.parse_args().fixed)
    arguments = TrainingArguments(
        "out",
        per_device_train_batch_size=8,
        num_train_epochs=1,
        learning_rate=1e-3,
        logging_steps=12,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    Trainer(model=model, args=arguments, train_dataset=Pairs()).train()
    weights = list(model.parameters())
    bad = sum(not bool(torch.isfinite(weight).all()) for weight in weights)
    print(f"{bad} of {len(weights)} weights are not finite")


if __name__ == "__main__":
    main()
