"""Every preset and cell beside torch.nn: forward and backward, one process.

Each cell runs on the fastest backend that has it, and those in EVERY_BACKEND on all
of theirs, to show what a backend costs in time and in memory. On a GPU, where there
is one, else on the CPU. The first row of a table is what the others are ratios to.

python benchmarks/bench_cells.py [results.jsonl]
"""

import torch
from measure import interleaved, peak_bytes, ratios, report
from plain import AdditiveLoop, ConvLSTMLoop, LSTMLoop, MultiplicativeLoop
from torch import nn

import lstmbook as lb
from lstmbook import backends

# A new cell is one more line here: a name, and how to build it from its sizes.
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
EVERY_BACKEND = ("lstm", "odyssey", "lnlstm", "gru", "rnn")
RAGGED = ("lstm", "odyssey")

# D, H, and the options kernel and dims
PICTURE_CELLS = {
    "convlstm": lambda D, H, kernel, dims: lb.ConvLSTMCell(
        D, H, input_kernel=kernel, dims=dims
    ),
    "convlstm, peepholes": lambda D, H, kernel, dims: lb.ConvLSTMCell(
        D, H, "odyssey", input_kernel=kernel, dims=dims
    ),
    "convlstm, state kernel 1": lambda D, H, kernel, dims: lb.ConvLSTMCell(
        D, H, input_kernel=kernel, state_kernel=1, dims=dims
    ),
}

# D, H; the memory is as wide as the state
ATTENTION_CELLS = {
    "additive": lambda D, H: lb.AdditiveAttention(lb.LSTMCell(D + H, H), H),
    "additive, gru": lambda D, H: lb.AdditiveAttention(lb.GRUCell(D + H, H), H),
    "general": lambda D, H: lb.MultiplicativeAttention(lb.LSTMCell(D + H, H), H),
    "dot": lambda D, H: lb.MultiplicativeAttention(lb.LSTMCell(D + H, H), H, "dot"),
    "uniform": lambda D, H: lb.UniformAttention(lb.LSTMCell(D + H, H), H),
}


def vectors(device, B, T, D, H):
    """Cells of vectors: a title, and {row name: one training step}."""
    x = torch.randn(B, T, D, device=device, requires_grad=True)
    lengths = torch.randint(-(-T // 4), T + 1, (B,))
    layers = {
        "nn.LSTM": nn.LSTM(D, H, batch_first=True),
        "nn.GRU": nn.GRU(D, H, batch_first=True),
        "nn.LSTMCell in a loop": LSTMLoop(D, H),
    }
    for name, build in CELLS.items():
        layers |= layers_of(name, build(D, H), x, name in EVERY_BACKEND)
    calls = {k: training_step(layer.to(device), x) for k, layer in layers.items()}
    for name in RAGGED:
        for row, layer in layers_of(name, CELLS[name](D, H), x).items():
            calls[f"{row}, ragged"] = training_step(
                layer.to(device), x, lengths=lengths
            )
    return f"batch {B}, time {T}, input {D}, hidden {H}", calls


def pictures(device, B, T, D, H, kernel, *places):
    """The same for cells of pictures, or of lines where there is one axis."""
    x = torch.randn(B, T, D, *places, device=device, requires_grad=True)
    options = {"kernel": kernel, "dims": len(places)}
    layers = {f"nn.Conv{len(places)}d in a loop": ConvLSTMLoop(D, H, **options)}
    for name, build in PICTURE_CELLS.items():
        layers |= layers_of(name, build(D, H, **options), x)
    size = " x ".join(map(str, places))
    return (
        f"batch {B}, time {T}, channels {D} in, {H} hidden, {size} places, "
        f"kernel {kernel}",
        {k: training_step(layer.to(device), x) for k, layer in layers.items()},
    )


def attention(device, B, T, S, D, H):
    """The same for attention cells, all but nn.LSTM with a memory [B, S, H]."""
    x = torch.randn(B, T, D, device=device, requires_grad=True)
    memory = torch.randn(B, S, H, device=device, requires_grad=True)
    layers = {
        "additive, nn.LSTMCell in a loop": AdditiveLoop(D, H, H),
        "general, nn.LSTMCell in a loop": MultiplicativeLoop(D, H, H),
    }
    for name, build in ATTENTION_CELLS.items():
        layers |= layers_of(name, build(D, H), x)
    calls = {"nn.LSTM": training_step(nn.LSTM(D, H, batch_first=True).to(device), x)}
    calls |= {
        name: training_step(layer.to(device), x, memory=memory)
        for name, layer in layers.items()
    }
    return f"batch {B}, time {T}, memory {S} x {H}, input {D}, hidden {H}", calls


def layers_of(name, cell, x, every=False):
    """A cell as a layer on its fastest backend, or on each, by row name."""
    able = [b for b in backends._FASTEST_FIRST if not b.refuses(cell, x, None, False)]
    return {
        f"{name}, {b.name}": lb.Recurrent(cell, b.name)
        for b in (able if every else able[:1])
    }


def training_step(layer, x, **kw):
    """Forward and backward with a random upstream gradient on the outputs."""
    up = torch.randn_like(layer(x, **kw)[0])

    def call():
        layer(x, **kw)[0].backward(up)

    return call


TABLES = [
    (vectors, (64, 100, 128, 256)),
    (vectors, (20, 35, 200, 200)),
    (pictures, (8, 10, 16, 32, 5, 16, 16)),
    (pictures, (16, 50, 8, 32, 5, 64)),
    (attention, (64, 30, 30, 128, 256)),
    (attention, (64, 30, 120, 128, 256)),
]


def main(tables=TABLES, rounds=7, warm_up=2):
    # One precision for all: on a GPU, cuDNN would round to TF32 where products in a
    # loop do not.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    for make, sizes in tables:
        lb.seed_everything(0)
        title, calls = make(lb.device(), *sizes)
        baseline = next(iter(calls))
        took = ratios(interleaved(calls, rounds, warm_up), baseline)
        base = peak_bytes(calls[baseline])
        rows = [
            {
                "layer": name,
                "time": middle,
                "quartiles": f"{low:.2f}-{high:.2f}",
                "peak memory": peak_bytes(calls[name]) / base,
            }
            for name, (middle, low, high) in took.items()
        ]
        report(f"{title}; ratios to {baseline}", rows)


if __name__ == "__main__":
    main()
