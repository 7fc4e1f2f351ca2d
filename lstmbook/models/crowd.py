"""Many small networks trained at once: how often does one of this kind learn it?

    crowd = Crowd(["ifo"] * 30 + [""] * 30, seeds=[*range(30)] * 2)
    logits = crowd(x)                     # x [batch, time, 1] -> [batch, time, 60]
    loss(logits).sum().backward()         # the sum over networks of their losses
    crowd.clip(1.0)                       # each as if it were alone

A layer whose R connects each cell to itself alone is as many separate networks, and
costs hardly more than one of them.
"""

import torch
from torch import Tensor, nn

from ..cells import PRESETS, LSTMCell, LSTMSpec
from ..recurrent import Recurrent


class Crowd(nn.Module):
    """Small networks side by side: a few LSTM cells and one output unit each.

    sees: for each network the gates that have a peephole, a part of "ifo"; the
        weights of the others are 0 and stay 0
    seeds: an integer for each network: those of one seed start alike
    spec: of all cells, but for its peepholes
    cells, input_size: of each network
    bound: W, R and p start uniform in ±bound, output weights in ±1
    forget_bias, output_bias: where these start; other biases at 0

    All networks read the same x [batch, time, input_size]; logits [batch, time, M]
    for M networks. `layer` is one Recurrent of M * cells units, a network after the
    other. Gradients between networks are taken out by hooks on the weights, which a
    deep copy does not have: train the crowd, not its copy.
    """

    def __init__(
        self, sees, seeds, spec: LSTMSpec = PRESETS["lstm"], cells: int = 1, *,
        input_size: int = 1, bound: float = 0.1, forget_bias: float = 0.0,
        output_bias: float = -1.0,
    ):  # fmt: skip
        super().__init__()
        sees, seeds = list(sees), list(seeds)
        if len(sees) != len(seeds) or not sees:
            raise ValueError(
                f"{len(sees)} entries in sees and {len(seeds)} seeds: "
                "give one of each for every network, at least one"
            )
        spec = spec.with_(peepholes=any(sees))  # none: torch's kernel may serve
        if wrong := [gates for gates in sees if set(gates) - set(spec.gate_rows)]:
            raise ValueError(
                f"sees={wrong[0]!r}: a peephole leads to a gate that is learned, "
                f"here {spec.gate_rows!r}"
            )
        M, H, n = len(sees), len(sees) * cells, len(spec.rows)
        self.count, self.cells = M, cells
        cell = LSTMCell(input_size, H, spec, forget_bias=forget_bias)
        self.layer = Recurrent(cell)
        seen = torch.tensor([[g in gates for gates in sees] for g in spec.gate_rows])
        self.register_buffer("seen", seen.repeat_interleave(cells, dim=1))
        own = torch.block_diag(*torch.ones(M, cells, cells)).bool()
        self.register_buffer("own", own.repeat(n, 1))

        sizes = [1, len(seen), n * input_size, n * cells]
        draws = torch.stack([_uniform(s, (cells, sum(sizes))) for s in seeds])
        v, p, W, R = draws.split(sizes, dim=2)
        self.v = nn.Parameter(v.reshape(H).clone())
        self.a = nn.Parameter(torch.full((M,), output_bias))
        with torch.no_grad():
            cell.W.copy_(
                bound * W.unflatten(2, (n, -1)).movedim(2, 0).reshape(n * H, -1)
            )
            if cell.p is not None:
                cell.p.copy_(bound * p.movedim(2, 0).reshape(-1, H) * self.seen)
            rows = [torch.block_diag(*block) for block in R.split(cells, dim=2)]
            cell.R.copy_(bound * torch.cat(rows))
        cell.R.register_hook(lambda grad: grad * self.own)
        if cell.p is not None:
            cell.p.register_hook(lambda grad: grad * self.seen)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(x)
        return (y * self.v).unflatten(2, (self.count, self.cells)).sum(3) + self.a

    def clip(self, norm: float) -> None:
        """Cut the gradient of each network to this norm, as if it were alone."""
        cell = self.layer.cell
        n = len(cell.spec.rows)
        # Every weight as [blocks, networks, the rest].
        parts = [(cell.W, n), (cell.R, n), (cell.b, n), (self.v, 1), (self.a, 1)]
        if cell.p is not None:
            parts.append((cell.p, len(cell.p)))
        parts = [(w, w.grad.reshape(k, self.count, -1)) for w, k in parts]
        size = sum(g.square().sum((0, 2)) for _, g in parts).sqrt()
        share = (norm / size.clamp(min=norm)).unsqueeze(1)
        for w, g in parts:
            w.grad = (g * share).view_as(w)


def _uniform(seed: int, shape) -> Tensor:
    """Uniform in ±1."""
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1
