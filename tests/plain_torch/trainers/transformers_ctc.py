"""A transcript that has more letters than the sound has frames."""

import torch
from transformers import Trainer, TrainingArguments, Wav2Vec2Config, Wav2Vec2ForCTC, set_seed

set_seed(0)


class Sounds(torch.utils.data.Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        letters = torch.randint(1, 12, (40,), generator=generator)
        letters[40 if index == 9 else 5 :] = -100
        return {"input_values": torch.randn(400, generator=generator), "labels": letters}


class InOrder(Trainer):
    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(Sounds(), batch_size=4)


config = Wav2Vec2Config(
    vocab_size=12,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    conv_dim=(16, 16),
    conv_stride=(5, 4),
    conv_kernel=(10, 8),
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
    mask_time_prob=0.0,
    ctc_loss_reduction="mean",
)
arguments = TrainingArguments("out", report_to=[], use_cpu=True, disable_tqdm=True)
InOrder(model=Wav2Vec2ForCTC(config), args=arguments, train_dataset=Sounds()).train()
