"""Training loops over `torch.nn.Module` and `torch.optim`: hooks, verdict, and the step again."""
