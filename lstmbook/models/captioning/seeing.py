"""A network that has learned to see before it is shown a film."""

import math

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ...modes import evaluating
from .frames import FrameCNN


class Spotter(nn.Module):
    """Who is in a frame, and where: what a `FrameCNN` learns to see by.

    network: of frames
    actors: how many there are to know

        output, _ = model(frames)
        frames [batch, channels, height, width] -> [batch, actors, 3]: the logit of
        being there (softmax), and the middle (y, x), from 0 to 1

    Stands for the networks trained on photographs that real captioners see with (an
    AlexNet or VGG in Venugopalan et al. 2015, sec. 3.3).
    """

    def __init__(self, network: FrameCNN, actors: int):
        super().__init__()
        self.network, self.actors = network, actors
        self.output = nn.Linear(network.output_size, 3 * actors)

    def forward(self, frames: Tensor, state=None, lengths=None):
        features = self.network(frames.unsqueeze(1))[:, 0]
        return self.output(features).unflatten(1, (self.actors, 3)), state

    def fit(
        self, stills, valid, *, epochs: float = 4, batch_size: int = 64,
        learning_rate: float = 3e-3, seed: int | None = None, progress: bool = True,
        **options,
    ):  # fmt: skip
        """Learn from `Stills`; the weights with the lowest loss on `valid` are kept.

        learning_rate: at its top; it falls to zero along a cosine
        options: for `lstmbook.training.fit_and_keep_best`

        Returns the model, in evaluation mode, with its `training_record`.
        """
        from ...training import fit_and_keep_best

        if seed is not None:
            torch.manual_seed(seed)
        train, held_out = (
            DataLoader(
                TensorDataset(part.frames, self._wanted(part)), batch_size,
                shuffle=part is stills,
            )
            for part in (stills, valid)
        )  # fmt: skip
        made, history = fit_and_keep_best(
            self, train, held_out, math.ceil(epochs * len(train)), loss=spotting_loss,
            learning_rate=learning_rate, progress=progress, **options,
        )  # fmt: skip
        self.training_record = {"updates": made, "valid": history}
        return self.eval()

    @torch.no_grad()
    def accuracy(self, stills) -> float:
        """The share of stills in which the likeliest actors are the right ones."""
        device = self.output.weight.device
        with evaluating(self):
            there = torch.cat(
                [self(f.to(device))[0][:, :, 0].cpu() for f in stills.frames.split(256)]
            )
        count = stills.who.shape[1]
        found = there.topk(count, dim=1).indices.sort(1).values
        return (found == stills.who.sort(1).values).all(1).float().mean().item()

    def config(self) -> dict:
        return {"network": self.network, "actors": self.actors}

    def _wanted(self, stills) -> Tensor:
        """[batch, actors, 3]: 1 for who is there, and where; zeros for the others."""
        wanted = torch.zeros(len(stills.who), self.actors, 3)
        rows = torch.arange(len(stills.who)).unsqueeze(1)
        wanted[rows, stills.who, 0] = 1
        wanted[rows, stills.who, 1:] = stills.where
        return wanted


def spotting_loss(output: Tensor, wanted: Tensor) -> Tensor:
    """Who (cross entropy, in nats) and where (ten squares of the distance).

    output, wanted: [batch, actors, 3]; where several are there, each is as right.
    """
    there = wanted[:, :, 0] / wanted[:, :, 0].sum(1, keepdim=True)
    apart = (output[:, :, 1:] - wanted[:, :, 1:]).square().sum(2)
    who = -(there * output[:, :, 0].log_softmax(1)).sum(1)
    return (who + 10 * (there * apart).sum(1)).mean()


class Seen(nn.Module):
    """What a trained network sees in each frame, as the `source` of a captioner.

    network: frames [batch, time, ...] -> [batch, time, F]; it does not learn any more
    reader: what turns a film into frames first, such as a `VideoReader`; None where
        films are frames already

        seen = Seen(network).fit(films.frames)
        model = captioner(words, network.output_size, source=seen)
        model.fit(films.pairs())             # each frame is looked at once

    `fit` brings each feature to mean 0 and deviation 1. A step of one pixel is little
    beside the change from a cat to a bear, and has to be seen as well.
    """

    def __init__(self, network: nn.Module, reader=None):
        super().__init__()
        self.network, self.reader = network.requires_grad_(False), reader
        self.register_buffer("mean", torch.zeros(network.output_size))
        self.register_buffer("deviation", torch.ones(network.output_size))

    def fit(self, films):
        """Take mean and deviation of the features of some films; gives itself."""
        self.mean.zero_()
        self.deviation.fill_(1)
        seen = torch.cat([self.encode(film) for film in films])
        self.mean.copy_(seen.mean(0))
        # A feature that never changes stays as it is.
        deviation = seen.std(0)
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1))
        return self

    @torch.no_grad()
    def encode(self, film) -> Tensor:
        """Features [time, F] of frames [time, channels, height, width], or of a film
        that the reader knows to read."""
        frames = film if self.reader is None else self.reader.encode(film)
        with evaluating(self.network):
            features = self.network(frames.unsqueeze(0).to(self.mean.device))[0]
        return ((features - self.mean) / self.deviation).cpu()

    def config(self) -> dict:
        return {"network": self.network, "reader": self.reader}
