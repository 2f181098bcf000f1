"""transformers on PyTorch: the same fine-tuning steps, eager."""

import json

import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification


class BertPeer:
    """``rows[0]`` of a step says where its batch begins among the sentences sorted by length."""

    def __init__(self, problem, attention="eager", fused=False):
        kind = json.loads(problem.kind)
        sizes = kind["sizes"]
        config = BertConfig(
            vocab_size=sizes["vocabulary"],
            hidden_size=sizes["features"],
            num_hidden_layers=sizes["blocks"],
            num_attention_heads=sizes["heads"],
            intermediate_size=sizes["hidden"],
            max_position_embeddings=sizes["positions"],
            type_vocab_size=sizes["segments"],
            layer_norm_eps=sizes["epsilon"],
            hidden_dropout_prob=kind["dropout"],
            attention_probs_dropout_prob=kind["dropout"],
            num_labels=kind["classes"],
            attn_implementation=attention,
        )
        self.model = BertForSequenceClassification(config)
        named = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, given in zip(kind["names"], problem.weights, strict=True):
                matrix = given.ndim == 2 and "embeddings" not in name
                named.pop(name).copy_(torch.from_numpy(given.T if matrix else given))
        assert not named, sorted(named)
        alone = [
            parameter
            for name, parameter in self.model.named_parameters()
            if name.endswith("bias") or "LayerNorm" in name
        ]
        ids = set(map(id, alone))
        groups = [
            {"params": [p for p in self.model.parameters() if id(p) not in ids]},
            {"params": alone, "weight_decay": 0.0},
        ]
        options = {"fused": True} if fused else {}
        self.optimizer = torch.optim.AdamW(groups, lr=2e-5, weight_decay=0.01, **options)
        self.tokens = torch.from_numpy(problem.images).long()
        self.labels = torch.from_numpy(problem.labels)
        self.lengths = (self.tokens != sizes["padding"]).sum(dim=1)
        self.batch_size, self.padding = problem.batch_size, sizes["padding"]

    def versions(self):
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def _mean_loss(self, start):
        start = min(int(start), len(self.tokens) - self.batch_size)
        batch = slice(start, start + self.batch_size)
        tokens = self.tokens[batch, : int(self.lengths[batch].max())]
        mask = (tokens != self.padding).long()
        return self.model(tokens, attention_mask=mask, labels=self.labels[batch]).loss

    def run(self, rows):
        self.model.train()
        for start in rows[:, 0]:
            self.optimizer.zero_grad(set_to_none=True)
            self._mean_loss(start).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()

    def steps(self):
        return max(int(state["step"]) for state in self.optimizer.state.values())

    def loss(self, rows):
        self.model.eval()
        with torch.no_grad():
            return float(self._mean_loss(rows[0]))


make = BertPeer
