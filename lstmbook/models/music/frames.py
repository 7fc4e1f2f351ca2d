"""All notes of a frame at once, each by itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cells import LSTMCell
from ...datasets.voices import PIANO, Piece, from_piano_roll, piano_roll
from ...modes import evaluating
from ...recurrent import Recurrent, Stack
from .pieces import (
    LEFT_OUT,
    batches,
    check_composing,
    fit_pieces,
    generator_of,
    mean_nats,
)


class FrameModel(nn.Module):
    """The notes of the next frame, each by itself: Bernoulli given the frames before.

    layer: any layer with a state to carry, whose input_size is the number of keys
    keys: (lowest, highest) MIDI number
    dropout: share of the layer's output set to zero in training

        logits, state = model(roll, state=None, lengths=None)
        roll [batch, time, keys] -> logits [batch, time, keys] of the frame after

    The first frame is predicted from an empty one. A frame's cost is the sum of the
    costs of its keys, silent ones too: the probability of a set of notes, which sums
    to one over all sets. But given the past the keys know nothing of one another.
    Source: the "RNN" of Boulanger-Lewandowski et al. 2012, here with an LSTM.
    """

    def __init__(self, layer: nn.Module, keys=PIANO, dropout: float = 0.0):
        super().__init__()
        self.keys = tuple(keys)
        count = self.keys[1] - self.keys[0] + 1
        if layer.input_size != count:
            raise ValueError(
                f"the layer takes {layer.input_size} features, keys={self.keys} are "
                f"{count}: make its input_size that"
            )
        self.layer, self.dropout = layer, nn.Dropout(dropout)
        self.output = nn.Linear(layer.output_size, count)

    @classmethod
    def of_size(
        cls, hidden_size: int = 256, layers: int = 1, keys=PIANO, spec="lstm",
        dropout: float = 0.0, forget_bias: float | None = 1.0,
    ):  # fmt: skip
        """The usual model: `layers` LSTMs of one size. Arguments as in `LSTMCell`."""
        sizes = [keys[1] - keys[0] + 1] + [hidden_size] * (layers - 1)
        stack = [
            Recurrent(LSTMCell(n, hidden_size, spec, forget_bias=forget_bias))
            for n in sizes
        ]
        layer = stack[0] if layers == 1 else Stack(*stack, dropout=dropout)
        return cls(layer, keys, dropout)

    def forward(self, roll: Tensor, state=None, lengths=None):
        y, state = self.layer(roll, state, lengths)
        return self.output(self.dropout(y)), state

    @torch.no_grad()
    def start_at(self, pieces):
        """Begin with how often each key sounds in pieces: sets the output's bias.

        Most keys are silent nearly always; a network that starts at one half for each
        spends its first hundreds of updates on that. Keys that never sound, or always,
        count half a frame otherwise. Returns the model.
        """
        rolls = torch.cat([piano_roll(piece, self.keys) for piece in pieces])
        share = (rolls.sum(0) + 0.5) / (len(rolls) + 1)
        self.output.bias.copy_(torch.logit(share))
        return self

    def fit(self, pieces, valid, **options):
        """Train on pieces; options as in `VoiceModel.fit`. Returns the model."""
        return fit_pieces(
            self, pieces, valid, compass=self.keys, loss=frame_loss, **options
        )

    @torch.no_grad()
    def frame_costs(self, pieces, batch_size: int = 32) -> list[Tensor]:
        """What each frame of each piece cost, in nats: a list of float32 [time]."""
        found = []
        for x, y, rows in batches(self, pieces, batch_size):
            with evaluating(self):
                logits, _ = self(x)
            cost = _key_costs(logits, y.to(logits.device)).sum(2).cpu()
            found += [c[: len(p)] for c, p in zip(cost, rows, strict=True)]
        return found

    def nats(self, pieces, **options) -> float:
        """Mean cost of a frame in nats, over all frames of all pieces."""
        return mean_nats(self.frame_costs(pieces, **options))

    @torch.no_grad()
    def compose(
        self, frames: int, *, temperature: float = 1.0, like: Piece | None = None,
        seed: int | None = None, **about,
    ) -> Piece:  # fmt: skip
        """Draw a piece, each key of a frame by itself.

        temperature: logits are divided by it; 0 takes keys that are likelier than not
        like: a piece to go on from; its frames are not part of what is returned
        about: resolution, meter and so on of the `Piece`
        """
        check_composing(frames, temperature)
        generator = generator_of(seed)
        device, state = self.output.weight.device, None
        given = torch.zeros(1, 1, self.output.out_features)
        if like is not None:
            given = torch.cat([given, piano_roll(like, self.keys)[None]], 1)
        drawn = []
        with evaluating(self):
            for _ in range(frames):
                logits, state = self(given.to(device), state)
                z = logits[:, -1:].cpu()
                p = (z > 0).float() if temperature == 0 else (z / temperature).sigmoid()
                given = torch.bernoulli(p, generator=generator)
                drawn.append(given[0, 0])
        return from_piano_roll(torch.stack(drawn), self.keys, **about)

    def example(self, piece: Piece) -> tuple[Tensor, Tensor]:
        """A piece as (what is read, what is predicted), both [time, keys]."""
        roll = piano_roll(piece, self.keys)
        return F.pad(roll[:-1], (0, 0, 1, 0)), roll

    def config(self) -> dict:
        return {
            "layer": self.layer,
            "keys": list(self.keys),
            "dropout": self.dropout.p,
        }


def frame_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Nats a frame: the costs of all keys together; frames of -100 are left out.

    logits, target: [batch, time, keys]
    """
    frames = (target[:, :, 0] != LEFT_OUT).sum()
    return _key_costs(logits, target).sum() / frames


def _key_costs(logits: Tensor, target: Tensor) -> Tensor:
    kept = target != LEFT_OUT
    cost = F.binary_cross_entropy_with_logits(
        logits, target.where(kept, 0), reduction="none"
    )
    return cost.where(kept, 0)
