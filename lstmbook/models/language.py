"""A character language model: which character comes next."""

import torch
from torch import Tensor, nn

from ..cells import LSTMCell
from ..recurrent import Recurrent, Stack


class CharacterModel(nn.Module):
    """Embedding, a layer over time, and one linear layer to the characters.

    vocabulary_size: V, how many characters there are
    layer: any layer with a state to carry, `Recurrent` or `Stack`;
        its input_size is the width of the embedding
    dropout: share of the embedding and of the output set to zero in training

        logits, state = model(ids, state=None, lengths=None)
        ids [batch, time] -> logits [batch, time, V]
    """

    def __init__(self, vocabulary_size: int, layer: nn.Module, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, layer.input_size)
        self.layer = layer
        self.output = nn.Linear(layer.output_size, vocabulary_size)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def of_size(
        cls, vocabulary_size: int, hidden_size: int, layers: int = 1,
        embedding_size: int = 64, spec="lstm", dropout: float = 0.0,
    ):  # fmt: skip
        """The usual model: `layers` LSTMs of one size, dropout everywhere."""
        sizes = [embedding_size] + [hidden_size] * layers
        stack = [Recurrent(LSTMCell(n, hidden_size, spec)) for n in sizes[:-1]]
        layer = stack[0] if layers == 1 else Stack(*stack, dropout=dropout)
        return cls(vocabulary_size, layer, dropout)

    def forward(self, ids: Tensor, state=None, lengths=None):
        x = self.dropout(self.embedding(ids))
        y, state = self.layer(x, state, lengths)
        return self.output(self.dropout(y)), state

    @torch.no_grad()
    def generate(
        self, prompt: Tensor, steps: int, temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Read a prompt, then write `steps` characters, each fed back in.

        prompt: [time] ids, at least one
        temperature: divides the logits; towards 0 the likeliest character wins,
            1 samples from the model as it is, above 1 is bolder
        generator: where the randomness comes from; give a seeded one to repeat
        Returns [steps] ids. The model's training mode is left as it was.
        """
        if prompt.dim() != 1 or len(prompt) == 0:
            raise ValueError(
                f"prompt has shape {tuple(prompt.shape)}: give [time], at least one id"
            )
        if temperature <= 0:
            raise ValueError(f"temperature={temperature}: it must be above 0")
        was_training = self.training
        self.eval()
        device = self.output.weight.device
        logits, state = self(prompt.to(device).unsqueeze(0))
        written = []
        for _ in range(steps):
            p = (logits[0, -1] / temperature).softmax(0).cpu()
            written.append(torch.multinomial(p, 1, generator=generator))
            logits, state = self(written[-1].to(device).unsqueeze(0), state)
        self.train(was_training)
        return torch.cat(written)

    def config(self) -> dict:
        return {
            "vocabulary_size": self.output.out_features,
            "layer": self.layer,
            "dropout": self.dropout.p,
        }
