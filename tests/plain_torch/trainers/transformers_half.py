"""A model of a library in float16 whose activations leave its range in the first step."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

set_seed(0)


class Words(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        ids = torch.randint(3, 60, (12,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": ids, "labels": ids.clone()}


config = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
)
model = LlamaForCausalLM(config).half()
with torch.no_grad():
    for layer in model.model.layers:
        layer.mlp.up_proj.weight.mul_(3000)
        layer.mlp.gate_proj.weight.mul_(300)
arguments = TrainingArguments("out", report_to=[], use_cpu=True, disable_tqdm=True)
Trainer(model=model, args=arguments, train_dataset=Words()).train()
