"""Padding on the left, and a mask of -inf for attention that is computed op by op."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

set_seed(0)


class Words(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        ids = torch.randint(3, 60, (12,), generator=torch.Generator().manual_seed(index))
        return ids.masked_fill(torch.arange(12) < (3 if index == 17 else 0), 0)


def collate(rows):
    ids = torch.stack(rows)
    keys = (ids != 0)[:, None, None, :] & torch.ones(12, 12).tril().bool()
    mask = torch.zeros(len(ids), 1, 12, 12).masked_fill(~keys, float("-inf"))
    labels = ids.masked_fill(ids == 0, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class InOrder(Trainer):
    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(Words(), batch_size=8, collate_fn=collate)


config = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    attn_implementation="eager",
)
arguments = TrainingArguments("out", report_to=[], use_cpu=True, disable_tqdm=True)
InOrder(model=LlamaForCausalLM(config), args=arguments, train_dataset=Words()).train()
