"""What a forecast says of each step: a value, a distribution, or quantiles.

A network gives `size` raw numbers a step, raw [..., size], of which the first is
the location. A head reads them: it scores them against what came (`loss`) and
turns them into a value (`point`), quantiles or samples. Units are those of the
target that the network learned, which the forecaster has scaled.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST = 1e-3  # scale of a distribution, in standard deviations of the target


class Head(nn.Module):
    """The contract: `size`, `_scores` and `_inverse`; the rest follows.

    raw:    [..., size]
    target: [...], NaN where missing: such steps are left out of the loss
    """

    size: int

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """The mean score of the steps whose target is known; 0 if there is none."""
        known = ~target.isnan()
        # Filled before it is scored: a NaN behind torch.where would still come
        # back as the gradient.
        scores = self._scores(raw, target.nan_to_num())
        return torch.where(known, scores, 0).sum() / known.sum().clamp(min=1)

    def point(self, raw: Tensor) -> Tensor:
        """One value a step, [...]."""
        return raw[..., 0]

    def quantile(self, raw: Tensor, levels) -> Tensor:
        """[..., Q], a value for each of the levels; ascending where they are."""
        levels = [float(level) for level in levels]
        if any(not 0 < level < 1 for level in levels):
            raise ValueError(f"levels={levels}: give numbers between 0 and 1")
        return torch.stack(
            [self._inverse(raw, raw.new_tensor(level)) for level in levels], dim=-1
        )

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw a step, [...], from the distribution that raw stands for."""
        shape = raw.shape[:-1]
        return self.draw(raw, torch.rand(shape, generator=generator).to(raw))

    def draw(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """The same from given numbers in (0, 1), which may broadcast."""
        tiny = 1e-6
        return self._inverse(raw, uniform.clamp(tiny, 1 - tiny))

    def _scores(self, raw: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def _inverse(self, raw: Tensor, level: Tensor) -> Tensor:
        """The value below which the share `level` lies; level fits raw[..., 0]."""
        raise NotImplementedError

    def config(self) -> dict:
        return {}


class Point(Head):
    """A value and nothing about its error.

    loss: "mae" (the forecast is a median) or "mse" (it is a mean)
    """

    size = 1

    def __init__(self, loss: str = "mae"):
        super().__init__()
        if loss not in ("mae", "mse"):
            raise ValueError(f"loss={loss!r}: choose 'mae' or 'mse'")
        self.kind = loss

    def _scores(self, raw, target):
        error = raw[..., 0] - target
        return error.abs() if self.kind == "mae" else error**2

    def quantile(self, raw, levels):
        raise ValueError(
            "a Point head has no quantiles: use Quantiles(), Gaussian() or StudentT()"
        )

    def _inverse(self, raw, level):
        return raw[..., 0]  # one value has all the probability

    def config(self) -> dict:
        return {"loss": self.kind}


class Gaussian(Head):
    """Mean and standard deviation; the loss is the negative log-likelihood, in nats.

    raw: mean, and a number whose softplus is the standard deviation
    Source: Salinas et al. 2020 (DeepAR), sec. 3.1.
    """

    size = 2

    def _scores(self, raw, target):
        scale = _positive(raw[..., 1])
        z = (target - raw[..., 0]) / scale
        return 0.5 * z**2 + scale.log() + 0.5 * math.log(2 * math.pi)

    def _inverse(self, raw, level):
        return raw[..., 0] + _positive(raw[..., 1]) * torch.special.ndtri(level)


class StudentT(Head):
    """Location, scale and degrees of freedom, all learned; the loss is in nats.

    raw: location, and two numbers s and d: the scale is softplus(s), the degrees
         of freedom 2 + softplus(d), so that the variance is finite
    Heavier tails than the normal's: single hours that are far off cost less.
    """

    size = 3

    def _scores(self, raw, target):
        scale, df = _positive(raw[..., 1]), 2 + _positive(raw[..., 2])
        z = (target - raw[..., 0]) / scale
        return (
            torch.lgamma(df / 2)
            - torch.lgamma((df + 1) / 2)
            + 0.5 * (math.pi * df).log()
            + scale.log()
            + (df + 1) / 2 * torch.log1p(z**2 / df)
        )

    def _inverse(self, raw, level):
        from scipy.special import stdtrit  # torch has no inverse of Student's t

        raw = raw.detach()
        df = (2 + _positive(raw[..., 2])).double().cpu().numpy()
        t = stdtrit(df, level.detach().double().cpu().numpy())
        return raw[..., 0] + _positive(raw[..., 1]) * torch.as_tensor(t).to(raw)


class Quantiles(Head):
    """Some quantiles, learned with the pinball loss; nothing else is assumed.

    levels: ascending, in (0, 1); the one nearest to 0.5 is the point forecast

    raw: that middle quantile, then the distances to its neighbours, upwards and
    then downwards, through softplus: distances are positive, so quantiles never
    cross. A level between two is interpolated. The loss is twice the mean of the
    pinball losses, so that with the median alone it is the absolute error.
    Source: Koenker and Bassett 1978; Wen et al. 2017 for recurrent networks.
    """

    def __init__(self, levels=(0.1, 0.5, 0.9)):
        super().__init__()
        levels = tuple(float(level) for level in levels)
        ascending = all(a < b for a, b in pairwise(levels))
        if not levels or not ascending or levels[0] <= 0 or levels[-1] >= 1:
            raise ValueError(
                f"levels={levels}: give ascending numbers between 0 and 1, "
                "such as (0.1, 0.5, 0.9)"
            )
        self.levels, self.size = levels, len(levels)
        self.middle = min(range(self.size), key=lambda k: abs(levels[k] - 0.5))

    def values(self, raw: Tensor) -> Tensor:
        """The quantiles at `levels`, [..., size], ascending."""
        up = self.size - 1 - self.middle
        centre = raw[..., :1]
        above = centre + F.softplus(raw[..., 1 : 1 + up]).cumsum(-1)
        below = centre - F.softplus(raw[..., 1 + up :]).cumsum(-1)
        return torch.cat([below.flip(-1), centre, above], dim=-1)

    def _scores(self, raw, target):
        error = target.unsqueeze(-1) - self.values(raw)
        levels = raw.new_tensor(self.levels)
        return 2 * torch.maximum(levels * error, (levels - 1) * error).mean(-1)

    def quantile(self, raw, levels):
        low, high = self.levels[0], self.levels[-1]
        outside = [k for k in levels if not low - 1e-9 <= k <= high + 1e-9]
        if outside:
            raise ValueError(
                f"levels {outside} were not learned, only those from {low} to {high}: "
                f"train with Quantiles(levels={tuple(levels)})"
            )
        return super().quantile(raw, levels)

    def _inverse(self, raw, level):
        values = self.values(raw)
        if self.size == 1:
            return values[..., 0]
        known = raw.new_tensor(self.levels)
        # Beyond the outer levels (in samples only) the last slope goes on.
        right = torch.searchsorted(known, level.contiguous()).clamp(1, self.size - 1)
        share = (level - known[right - 1]) / (known[right] - known[right - 1])
        right = right.expand(values.shape[:-1]).unsqueeze(-1)
        low = values.gather(-1, right - 1).squeeze(-1)
        high = values.gather(-1, right).squeeze(-1)
        return low + share * (high - low)

    def config(self) -> dict:
        return {"levels": list(self.levels)}


def _positive(raw: Tensor) -> Tensor:
    return F.softplus(raw) + SMALLEST
