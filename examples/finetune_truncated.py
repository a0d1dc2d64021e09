"""Fine-tuning with the Trainer of Hugging Face in which one answer is cut off.

A sample is a prompt and an answer, and only the answer is learned: the labels of the prompt are
-100. A prompt that fills the whole context leaves no label, so its loss is a mean over nothing. The
log of the Trainer replaces that NaN, and its curve goes on as if nothing had happened.

    python finetune_truncated.py                  # a falling loss over weights that are NaN
    stayfinite run finetune_truncated.py          # stops before the update, and says why
    python finetune_truncated.py --fixed          # without samples that have no label
"""

import argparse

import torch
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

CONTEXT = 32
IGNORED = -100


class Answers(Dataset):
    """Prompts of random tokens; the answer repeats the last of them."""

    def __init__(self, num_samples, with_label):
        generator = torch.Generator().manual_seed(1)
        self.samples = []
        while len(self.samples) < num_samples:
            length = int(torch.randint(4, 27, (), generator=generator))
            if len(self.samples) == 130:
                length = 40  # a long document
            prompt = torch.randint(3, 16, (length,), generator=generator)
            tokens = torch.cat([prompt, prompt[-1:].repeat(4)])
            labels = torch.where(torch.arange(len(tokens)) < length, IGNORED, tokens)
            tokens, labels = tokens[:CONTEXT], labels[:CONTEXT]
            if with_label and bool((labels == IGNORED).all()):
                continue
            self.samples.append({"input_ids": tokens, "labels": labels})

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="leave out samples without a label")
    fixed = parser.parse_args().fixed
    set_seed(0)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
    )
    model = LlamaForCausalLM(config)
    arguments = TrainingArguments(
        "out",
        per_device_train_batch_size=1,
        max_steps=300,
        learning_rate=3e-3,
        logging_steps=30,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    Trainer(model=model, args=arguments, train_dataset=Answers(300, fixed)).train()
    weights = list(model.parameters())
    bad = sum(not bool(torch.isfinite(weight).all()) for weight in weights)
    print(f"{bad} of {len(weights)} weights are not finite")


if __name__ == "__main__":
    main()
