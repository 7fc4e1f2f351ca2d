"""What comes next in a film: the encoder-forecaster of Shi et al. 2015.

    model = VideoForecaster.convolutional(1, (32, 32), patch=2, input_kernel=3)
    logits = model(frames, steps=5)       # frames [batch, time, 1, height, width]
    loss = frame_nats(logits, future).mean()
    film = model.predict(frames, steps=5) # values from 0 to 1

One stack of layers reads the frames; a second one starts from its states and runs on
without any input, a frame a step.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cells import ConvLSTMCell, LSTMCell, LSTMSpec
from ..modes import evaluating
from ..recurrent import Recurrent


class VideoForecaster(nn.Module):
    """Layers that read, as many layers that go on, and a linear map to pixels.

    encoder, forecaster: layers with states of the same sizes, from the bottom up;
        the first of the forecaster has no input (input_size=0)
    patch: squares of patch x patch pixels become one place with patch**2 times the
        channels, so that pictures get smaller; only for layers of pictures
    readout: pixels are read from the outputs of "all" layers of the forecaster side
        by side, or of the "last"
    ink: the mean of all pixels, where predictions start. Started at one half, on
        frames that are mostly ground, the first steps of training drive the states
        into saturation and may leave them there

        logits = model(frames, steps)
        frames [batch, time, channels, height, width] -> [batch, steps, ...]

    The map to pixels is the same at every place (a convolution with a kernel of 1).
    Layers of vectors read a frame as one vector of all its pixels.
    Source: Shi et al. 2015, sec. 3.2; the layers of vectors are the network that they
    compare with, of Srivastava et al. 2015.
    """

    def __init__(
        self, encoder, forecaster, *, patch: int = 1, readout: str = "all",
        ink: float = 0.05,
    ):  # fmt: skip
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        self.forecaster = nn.ModuleList(forecaster)
        if len(self.encoder) != len(self.forecaster) or not len(self.encoder):
            raise ValueError(
                f"{len(self.encoder)} layers to read and {len(self.forecaster)} to go "
                "on: states are copied, so give as many of both, at least one"
            )
        if self.forecaster[0].input_size != 0:
            raise ValueError(
                "the first layer of the forecaster takes "
                f"{self.forecaster[0].input_size} features; it runs without an input "
                "(input_size=0)"
            )
        if readout not in ("all", "last"):
            raise ValueError(f"readout={readout!r}: choose 'all' or 'last'")
        self.of_pictures = self.encoder[0].input_dims == 3
        if patch != 1 and not self.of_pictures:
            raise ValueError(f"patch={patch} is for layers of pictures")
        self.patch, self.readout, self.ink = patch, readout, ink
        widths = [layer.output_size for layer in self.forecaster]
        width = sum(widths) if readout == "all" else widths[-1]
        self.output = nn.Linear(width, self.encoder[0].input_size)
        if not 0 < ink < 1:
            raise ValueError(f"ink={ink}: give a share above 0 and below 1")
        nn.init.constant_(self.output.bias, math.log(ink / (1 - ink)))

    @classmethod
    def convolutional(
        cls, channels: int = 1, hidden: tuple[int, ...] = (128, 64, 64), *,
        patch: int = 4, input_kernel: int = 5, state_kernel: int | None = None,
        spec: LSTMSpec | str = "odyssey", ink: float = 0.05,
    ):  # fmt: skip
        """The convolutional LSTM of Shi et al. 2015; theirs unless told otherwise.

        hidden: channels of each layer's state, from the bottom up
        """

        def layers(size):
            for H in hidden:
                yield Recurrent(
                    ConvLSTMCell(
                        size, H, spec,
                        input_kernel=input_kernel, state_kernel=state_kernel,
                    )
                )  # fmt: skip
                size = H

        return cls(layers(channels * patch**2), layers(0), patch=patch, ink=ink)

    @classmethod
    def fully_connected(
        cls, pixels: int, hidden: tuple[int, ...] = (2048, 2048), *,
        spec: LSTMSpec | str = "odyssey", ink: float = 0.05,
    ):  # fmt: skip
        """The same of layers of vectors: every unit sees every pixel.

        pixels: of a frame, all channels together
        """

        def layers(size):
            for H in hidden:
                yield Recurrent(LSTMCell(size, H, spec))
                size = H

        return cls(layers(pixels), layers(0), readout="last", ink=ink)

    def forward(self, frames: Tensor, steps: int) -> Tensor:
        if frames.dim() != 5:
            raise ValueError(
                f"frames have shape {tuple(frames.shape)}: "
                "give [batch, time, channels, height, width]"
            )
        if steps < 1:
            raise ValueError(f"steps={steps}: ask for at least one frame")
        if any(n % self.patch for n in frames.shape[3:]):
            raise ValueError(
                f"frames of {tuple(frames.shape[3:])} pixels cannot be cut into "
                f"squares of {self.patch} (patch={self.patch})"
            )
        if self.of_pictures:
            x = F.pixel_unshuffle(frames, self.patch)
        else:
            x = frames.flatten(2)
        states = []
        for layer in self.encoder:
            x, state = layer(x)
            states.append(state)
        y, outputs = x.new_zeros(len(x), steps, 0, *x.shape[3:]), []
        for layer, state in zip(self.forecaster, states, strict=True):
            y, _ = layer(y, state)
            outputs.append(y)
        y = torch.cat(outputs, dim=2) if self.readout == "all" else y
        logits = self.output(y.movedim(2, -1)).movedim(-1, 2)
        if self.of_pictures:
            return F.pixel_shuffle(logits, self.patch)
        return logits.unflatten(2, frames.shape[2:])

    @torch.no_grad()
    def predict(self, frames: Tensor, steps: int) -> Tensor:
        """The next frames, as values from 0 to 1; the mode is left as it was."""
        with evaluating(self):
            return self(frames, steps).sigmoid()

    def config(self) -> dict:
        return {
            "encoder": list(self.encoder),
            "forecaster": list(self.forecaster),
            "patch": self.patch,
            "readout": self.readout,
            "ink": self.ink,
        }


def frame_nats(logits: Tensor, frames: Tensor) -> Tensor:
    """Cross-entropy of each frame, summed over its pixels: [batch, time], in nats.

    A pixel of value v counts as ink with probability v, so a grey one costs something
    even if it is predicted exactly. The published scores are this, summed over the ten
    frames of the future (Shi et al. 2015, sec. 4.1).
    """
    if logits.shape != frames.shape:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}, frames {tuple(frames.shape)}"
        )
    nats = F.binary_cross_entropy_with_logits(logits, frames, reduction="none")
    return nats.flatten(2).sum(2)
