"""From frames to features: a small network for pictures, and layers over time."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...recurrent import check_arguments
from ...states import padding


class FrameCNN(nn.Module):
    """Features of single frames: what is there, and where.

    shape: (channels, height, width) of a frame
    channels: C of each convolution. The first has a kernel of 5, the others of 3; all
        but the last halve height and width (rounded up)
    points: P, of how many places the features tell

        frames [batch, time, channels, height, width] -> [batch, time, F]

    F = the last C + 2 P: the highest value of each channel over the picture, which
    does not change when a thing is elsewhere; and the mean place (y, x) under P maps of
    weights, from 0 to 1, which does not change when another thing is there.
    Source of the mean places: Levine et al. 2016, sec. 4.2, the spatial softmax.
    """

    def __init__(
        self, shape: tuple[int, int, int], channels: tuple[int, ...] = (12, 24, 48),
        points: int = 4,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.channels, self.points = tuple(shape), tuple(channels), points
        if len(self.shape) != 3 or min(*self.shape, *self.channels, points) < 1:
            raise ValueError(
                f"shape={shape}, channels={channels}, points={points}: give "
                "(channels, height, width), and all of them at least 1"
            )
        layers, depth = [], self.shape[0]
        for k, width in enumerate(self.channels):
            kernel, stride = 3 if k else 5, 1 if k == len(self.channels) - 1 else 2
            layers += [nn.Conv2d(depth, width, kernel, stride, kernel // 2), nn.ReLU()]
            # A few bright strokes on a dark ground: torch's own start is too quiet.
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
            depth = width
        self.network = nn.Sequential(*layers)
        self.maps = nn.Conv2d(depth, points, 1)
        self.output_size = depth + 2 * points

    def forward(self, frames: Tensor) -> Tensor:
        if frames.dim() != 5 or frames.shape[2:] != self.shape:
            raise ValueError(
                f"frames have shape {tuple(frames.shape)}, the network was built for "
                f"{self.shape}: give [batch, time, channels, height, width]"
            )
        y = self.network(frames.flatten(0, 1))
        weights = self.maps(y).flatten(2).softmax(2).unflatten(2, y.shape[2:])
        places = [
            weights.sum(axis) @ torch.linspace(0, 1, y.shape[5 - axis]).to(y)
            for axis in (3, 2)  # what is left are rows, then columns
        ]
        features = torch.cat([y.amax((2, 3)), *places], 1)
        return features.unflatten(0, frames.shape[:2])

    def config(self) -> dict:
        return {"shape": self.shape, "channels": self.channels, "points": self.points}


class OfFrames(nn.Module):
    """A layer over time that reads frames through a network, as any layer is called.

    frames: [batch, time, ...] -> [batch, time, features], with `output_size`; None
        where the features are what is given
    layer: reads the features
    dropout: share of the features set to zero in training

        y, state = layer(x, state=None, lengths=None)
    """

    def __init__(self, frames: nn.Module | None, layer: nn.Module, dropout=0.0):
        super().__init__()
        if frames is not None and frames.output_size != layer.input_size:
            raise ValueError(
                f"a frame has {frames.output_size} features, the layer reads "
                f"{layer.input_size}: make them agree"
            )
        self.frames, self.layer = frames, layer
        self.dropout = nn.Dropout(dropout)

    input_size = property(lambda self: self.layer.input_size)
    output_size = property(lambda self: self.layer.output_size)

    def forward(self, x: Tensor, state=None, lengths: Tensor | None = None):
        x = x if self.frames is None else self.frames(x)
        return self.layer(self.dropout(x), state, lengths)

    def config(self) -> dict:
        return {
            "frames": self.frames,
            "layer": self.layer,
            "dropout": self.dropout.p,
        }


class MeanState(NamedTuple):
    """h: the mean of all real steps, [batch, features]."""

    h: Tensor


class MeanPool(nn.Module):
    """A layer without weights whose last output is the mean of what it read.

    The same in whatever order the steps come: what a model built on it can say does not
    depend on when anything happened.

        y, state = layer(x, state=None, lengths=None); y is x, zero at the padding
    """

    def __init__(self, input_size: int):
        super().__init__()
        self.input_size = self.output_size = input_size

    def forward(self, x: Tensor, state=None, lengths: Tensor | None = None):
        if state is not None:
            raise ValueError("a mean has no state to go on from: give whole sequences")
        check_arguments(x, self.input_size, lengths)
        if lengths is None:
            return x, MeanState(x.mean(1))
        lengths = lengths.to(x.device)
        y = x.masked_fill(padding(lengths, x.shape[1]).unsqueeze(2), 0)
        return y, MeanState(y.sum(1) / lengths.unsqueeze(1))

    def config(self) -> dict:
        return {"input_size": self.input_size}
