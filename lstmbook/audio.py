"""From sound to what a network reads: log-mel bands, MFCCs, deltas; augmentation.

features = AudioFeatures("log-mel", rate=8000, bands=40).fit(train)   # training only
x = features(wave)                      # [time, 40], mean 0 and deviation 1 in `train`
x = mask(x, generator=g)                # SpecAugment
noisy = add_noise(wave, snr=10, generator=g)
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["AudioFeatures", "add_noise", "mask", "segment_means"]

KINDS = ("log-mel", "mfcc", "ready")
QUIET = 1e-8  # added to the energy of a band: its logarithm stays finite in silence


class AudioFeatures(nn.Module):
    """How sound becomes features; their means and deviations are in its buffers.

    kind: "log-mel", the logarithm of the energy in bands as wide as the ear's; "mfcc",
        its cosine transform (Davis and Mermelstein 1980); "ready" for sounds that are
        features already: these are only scaled
    rate: samples a second; a file with another rate is resampled
    bands: mel bands; size: coefficients kept of an MFCC, or the width of what is ready
    window, hop: seconds of sound that a frame looks at, and between two frames
    deltas: 0, 1 or 2: rates of change beside each feature, and their rates (Furui
        1986). A delta looks four frames ahead and four back
    stack: frames joined to one, so that a network has fewer steps (Sak et al. 2015)

        x = features(sound)          # [time, output_size], float32, on the CPU

    sound: a path, samples [samples] at `rate`, or features [time, size] before they
    are scaled. Frames are centred: frame t of the sound is the one at t * hop. librosa
    computes the bands.
    """

    def __init__(
        self, kind: str = "log-mel", *, rate: int = 8000, bands: int = 40,
        size: int = 13, window: float = 0.025, hop: float = 0.010, deltas: int = 0,
        stack: int = 1,
    ):  # fmt: skip
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: choose one of {KINDS}")
        if rate < 1000 or bands < 2 or size < 1 or stack < 1:
            raise ValueError(
                f"rate={rate}, bands={bands}, size={size}, stack={stack}: give at "
                "least 1000 samples a second, 2 bands, 1 coefficient, 1 frame"
            )
        if kind == "mfcc" and size > bands:
            raise ValueError(
                f"size={size} coefficients need as many bands, not {bands}"
            )
        if not 0 < hop <= window:
            raise ValueError(f"window={window}, hop={hop}: 0 < hop <= window, seconds")
        if deltas not in (0, 1, 2):
            raise ValueError(f"deltas={deltas}: 0, 1 or 2")
        self.kind, self.rate, self.bands, self.size = kind, rate, bands, size
        self.window, self.hop = window, hop
        self.deltas, self.stack = deltas, stack
        self.register_buffer("mean", torch.zeros(self.frame_size))
        self.register_buffer("scale", torch.ones(self.frame_size))
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def frame_size(self) -> int:
        """Features of a frame, deltas among them, before frames are stacked."""
        return (self.bands if self.kind == "log-mel" else self.size) * (1 + self.deltas)

    @property
    def output_size(self) -> int:
        """Features of a step."""
        return self.frame_size * self.stack

    @property
    def step(self) -> int:
        """How many steps of the sound, samples mostly, one step of x goes on."""
        return self.stack * (1 if self.kind == "ready" else round(self.rate * self.hop))

    def fit(self, sounds) -> "AudioFeatures":
        """Take means and deviations from these sounds: the training part, no other.

        sounds: a list of what `forward` takes. Returns the features.
        """
        frames = [self.frames(sound) for sound in sounds]
        if not frames:
            raise ValueError("there are no sounds to take means from")
        frames = torch.cat(frames).double()
        self.mean.copy_(frames.mean(0))
        # A band that never changes, above what a telephone lets through, stays 0.
        spread = frames.std(0, correction=0)
        self.scale.copy_(torch.where(spread > 1e-5, spread, 1.0))
        self.fitted.fill_(True)
        return self

    def forward(self, sound) -> Tensor:
        x = (self.frames(sound) - self.mean.cpu()) / self.scale.cpu()
        left = -len(x) % self.stack
        if left:
            x = torch.cat([x, x[-1:].expand(left, -1)])
        return x.reshape(len(x) // self.stack, -1)

    def frames(self, sound) -> Tensor:
        """The features of each frame before they are scaled: [time, frame_size]."""
        sound = self._sound(sound)
        if sound.dim() == 2:
            x = sound.numpy().T
        else:
            import librosa

            n = round(self.rate * self.window)
            energy = librosa.feature.melspectrogram(
                y=sound.numpy(), sr=self.rate, win_length=n, n_mels=self.bands,
                n_fft=2 ** math.ceil(math.log2(n)), hop_length=self.step // self.stack,
                pad_mode="constant",
            )  # fmt: skip
            x = np.log(energy + QUIET)
            if self.kind == "mfcc":
                x = librosa.feature.mfcc(S=x, n_mfcc=self.size)
        parts = [x]
        if self.deltas:
            import librosa

            for _ in range(self.deltas):
                # "nearest" serves sounds shorter than the nine frames it looks at.
                parts.append(librosa.feature.delta(parts[-1], mode="nearest"))
        return torch.from_numpy(np.concatenate(parts).T.astype(np.float32))

    def _sound(self, sound) -> Tensor:
        """Samples [samples] or features [time, size], float32, seen to fit."""
        if isinstance(sound, str) or hasattr(sound, "__fspath__"):
            if self.kind == "ready":
                raise ValueError(
                    f"{sound}: these features are made elsewhere (kind='ready') and "
                    "cannot be taken from a file; give features [time, "
                    f"{self.size}], or train on sound"
                )
            from .datasets.speech import read_wav

            return read_wav(sound, self.rate)
        sound = torch.as_tensor(sound).detach().cpu()
        if not sound.is_floating_point():
            raise ValueError(
                f"the sound is {sound.dtype}: give float samples from -1 to 1"
            )
        size = self.frame_size // (1 + self.deltas)
        ready = sound.dim() == 2 and sound.shape[1] == size
        if not (ready or (sound.dim() == 1 and self.kind != "ready")) or not len(sound):
            wanted = "" if self.kind == "ready" else "samples [samples] or "
            raise ValueError(
                f"the sound has shape {tuple(sound.shape)}: give {wanted}features "
                f"[time, {size}], at least one step"
            )
        if not torch.isfinite(sound).all():
            raise ValueError("the sound holds values that are not finite")
        return sound.float()

    def config(self) -> dict:
        return {
            "kind": self.kind,
            "rate": self.rate,
            "bands": self.bands,
            "size": self.size,
            "window": self.window,
            "hop": self.hop,
            "deltas": self.deltas,
            "stack": self.stack,
        }


def segment_means(x: Tensor, segments: int = 4) -> Tensor:
    """The means of a sound's parts, end to end: [segments * features].

    x: [time, features], cut into as many parts of about one length; where there are
        fewer steps than parts, neighbours share one
    What a baseline without memory is given: a fixed number of values for any length.
    """
    if segments < 1 or x.dim() != 2 or len(x) == 0:
        raise ValueError(
            f"segments={segments}, x {tuple(x.shape)}: give at least one part and "
            "[time, features]"
        )
    return F.adaptive_avg_pool1d(x.T, segments).T.flatten()


def add_noise(
    wave: Tensor, snr: float, *, noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """The same sound with noise, `snr` decibels below it: [samples].

    snr: 10 log10 of mean power of the sound over that of the noise; 0 is as loud
    noise: a recording to take it from, from a place drawn at random and repeated
        where it is shorter; white noise unless given

    What goes beyond 1 is left there: clipping would be another distortion.
    """
    if wave.dim() != 1 or len(wave) == 0:
        raise ValueError(f"wave has shape {tuple(wave.shape)}: give samples [samples]")
    if not math.isfinite(snr):
        raise ValueError(f"snr={snr}: give decibels")
    if noise is None:
        noise = torch.randn(len(wave), generator=generator)
    elif noise.dim() != 1 or len(noise) == 0:
        raise ValueError(f"noise has shape {tuple(noise.shape)}: give [samples]")
    else:
        start = int(torch.randint(len(noise), (1,), generator=generator))
        noise = noise.roll(-start).repeat(math.ceil(len(wave) / len(noise)))
        noise = noise[: len(wave)]
    power, loud = (float(a.double().square().mean()) for a in (wave, noise))
    if power == 0 or loud == 0:
        raise ValueError("the sound or the noise is silent: there is no ratio to set")
    return wave + noise * math.sqrt(power / loud / 10 ** (snr / 10))


def mask(
    x: Tensor, *, bands: int = 8, steps: int = 10, times: int = 1,
    share: float = 0.2, generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Features with some bands and some steps set to 0, their mean: SpecAugment.

    x: [time, features], scaled to mean 0
    bands, steps: the widest mask along each axis; the width is drawn from 0 to it
    times: masks along each axis
    share: of the steps of a sound, one mask covers at most so much

    Source: Park et al. 2019, sec. 2, without time warping (which did least there).
    """
    if x.dim() != 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: give [time, features]")
    if bands < 0 or steps < 0 or times < 0 or not 0 <= share <= 1:
        raise ValueError(
            f"bands={bands}, steps={steps}, times={times}, share={share}: none below 0"
        )
    x = x.clone()
    time, size = x.shape

    def span(length, widest):
        widest = min(widest, length)
        width = int(torch.randint(widest + 1, (1,), generator=generator))
        start = int(torch.randint(length - width + 1, (1,), generator=generator))
        return slice(start, start + width)

    for _ in range(times):
        x[:, span(size, bands)] = 0
        x[span(time, min(steps, int(share * time)))] = 0
    return x
