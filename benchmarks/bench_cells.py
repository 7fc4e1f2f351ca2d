"""Every preset and cell beside nn.LSTM: forward and backward, one process.

Each cell runs on the fastest backend that has it, and those in EVERY_BACKEND on all
of theirs, to show what a backend costs in time and in memory. On a GPU, where there
is one, else on the CPU.

python benchmarks/bench_cells.py [results.jsonl]
"""

import torch
from measure import interleaved, peak_bytes, ratios, report
from torch import nn

import lstmbook as lb
from lstmbook import backends

SIZES = [(64, 100, 128, 256), (20, 35, 200, 200)]  # batch, time, in, hidden

# A new cell is one more line here: a name, and how to build it from (D, H).
CELLS = {
    name: lambda D, H, name=name: lb.LSTMCell(D, H, name)
    for name in lb.PRESETS
    if name != "np"  # the same spec as lstm
}
CELLS |= {
    "carried norm": lambda D, H: lb.LSTMCell(D, H, lb.LSTMSpec(norm="carried")),
    "gatewise norm": lambda D, H: lb.LSTMCell(D, H, lb.LSTMSpec(norm="gatewise")),
    "gru": lb.GRUCell,
    "gru before": lambda D, H: lb.GRUCell(D, H, "before"),
    "mgu": lb.MGUCell,
    "rnn": lb.RNNCell,
}
EVERY_BACKEND = ("lstm", "odyssey", "lnlstm", "gru")
RAGGED = ("lstm", "odyssey")


class PythonLoop(nn.Module):
    """nn.LSTMCell step by step, as one writes it at first."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size, hidden_size)

    def forward(self, x):
        state, y = None, []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            y.append(state[0])
        return torch.stack(y, 1), state


def training_step(layer, x, **kw):
    """Forward and backward with a random upstream gradient on the outputs."""
    y = layer(x, **kw)[0]
    up = torch.randn_like(y)

    def call():
        layer(x, **kw)[0].backward(up)

    return call


def layers_of(name, D, H, x):
    """The cell as a layer on the backends to be measured, by row name."""
    cell = CELLS[name](D, H)
    able = [b for b in backends._FASTEST_FIRST if not b.refuses(cell, x, None, False)]
    if name not in EVERY_BACKEND:
        able = able[:1]
    return {f"{name}, {b.name}": lb.Recurrent(cell, b.name) for b in able}


def calls_of(B, T, D, H, device):
    """{row name: one training step}."""
    x = torch.randn(B, T, D, device=device, requires_grad=True)
    lengths = torch.randint(T // 4, T + 1, (B,))
    layers = {
        "nn.LSTM": nn.LSTM(D, H, batch_first=True),
        "nn.GRU": nn.GRU(D, H, batch_first=True),
        "nn.LSTMCell in a loop": PythonLoop(D, H),
    }
    for name in CELLS:
        layers |= layers_of(name, D, H, x)
    calls = {k: training_step(layer.to(device), x) for k, layer in layers.items()}
    for name in RAGGED:
        row, layer = next(iter(layers_of(name, D, H, x).items()))
        calls[f"{row}, ragged"] = training_step(layer.to(device), x, lengths=lengths)
    return calls


def main():
    for B, T, D, H in SIZES:
        lb.seed_everything(0)
        calls = calls_of(B, T, D, H, lb.device())
        took = ratios(interleaved(calls, rounds=7, warm_up=2), "nn.LSTM")
        base = peak_bytes(calls["nn.LSTM"])
        rows = [
            {
                "layer": name,
                "time / nn.LSTM": took[name][0],
                "quartiles": f"{took[name][1]:.2f}-{took[name][2]:.2f}",
                "peak memory / nn.LSTM": peak_bytes(call) / base,
            }
            for name, call in calls.items()
        ]
        report(f"batch {B}, time {T}, input {D}, hidden {H}", rows)


if __name__ == "__main__":
    main()
