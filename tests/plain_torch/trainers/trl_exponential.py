"""The exponential of a loss of TRL leaves the range of float32, as its `beta` is large."""

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import DPOConfig, DPOTrainer

set_seed(0)
words = ["<pad>", "<eos>", "<unk>", *(f"w{number}" for number in range(60))]
plain = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
)
config = LlamaConfig(
    vocab_size=63,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
)
policy, reference = LlamaForCausalLM(config), LlamaForCausalLM(config)
with torch.no_grad():
    policy.lm_head.weight.mul_(60)


def text(length):
    return " ".join(words[number] for number in torch.randint(3, 63, (length,)).tolist())


rows = [{"prompt": text(5), "chosen": text(4), "rejected": text(6)} for _ in range(32)]
arguments = DPOConfig(
    "out",
    beta=20.0,
    loss_type="discopop",
    per_device_train_batch_size=4,
    max_steps=3,
    report_to=[],
    use_cpu=True,
    bf16=False,
    disable_tqdm=True,
)
data = Dataset.from_list(rows)
trainer = DPOTrainer(
    policy, reference, args=arguments, train_dataset=data, processing_class=tokenizer
)
trainer.train()
