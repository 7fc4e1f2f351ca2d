"""Every preset and backend beside nn.LSTM: forward and backward, one process.

python benchmarks/bench_cells.py [results.jsonl]
"""

import torch
from measure import interleaved, peak_bytes, ratios, report
from torch import nn

import lstmbook as lb

SIZES = [(64, 100, 128, 256), (20, 35, 200, 200)]  # batch, time, in, hidden


def training_step(layer, x, **kw):
    """Forward and backward with a random upstream gradient on the outputs."""
    y = layer(x, **kw)[0]
    up = torch.randn_like(y)

    def call():
        layer(x, **kw)[0].backward(up)

    return call


def main():
    device = lb.device()
    for B, T, D, H in SIZES:
        lb.seed_everything(0)
        x = torch.randn(B, T, D, device=device, requires_grad=True)
        lengths = torch.randint(T // 4, T + 1, (B,))
        layers = {
            "nn.LSTM": nn.LSTM(D, H, batch_first=True),
            "nn.GRU": nn.GRU(D, H, batch_first=True),
            "lstm, library": lb.Recurrent(lb.LSTMCell(D, H), "library"),
            "gru, library": lb.Recurrent(lb.GRUCell(D, H), "library"),
        }
        layers |= {
            f"{name}, fused": lb.Recurrent(lb.LSTMCell(D, H, name), "fused")
            for name in lb.PRESETS
            if name != "np"  # the same spec as lstm
        }
        layers |= {
            f"{name}, loop": lb.Recurrent(lb.LSTMCell(D, H, name), "loop")
            for name in ("lstm", "odyssey")
        }
        layers["gru before, loop"] = lb.Recurrent(lb.GRUCell(D, H, "before"), "loop")
        layers["mgu, loop"] = lb.Recurrent(lb.MGUCell(D, H), "loop")
        calls = {
            name: training_step(layer.to(device), x) for name, layer in layers.items()
        }
        calls["lstm, library, ragged"] = training_step(
            layers["lstm, library"], x, lengths=lengths
        )
        calls["odyssey, fused, ragged"] = training_step(
            layers["odyssey, fused"], x, lengths=lengths
        )
        took = ratios(interleaved(calls), "nn.LSTM")
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
