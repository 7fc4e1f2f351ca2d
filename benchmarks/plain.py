"""Recurrent layers as one writes them at first: torch.nn and a loop over time.

What the package is measured against where torch has no kernel. Each computes what a
cell of the package does, and tests/test_benchmarks.py holds that; but all of it step
by step, the product with x too. They are not slow on purpose: the steps of x come
from one unbind (the gradient of a slice x[:, t] is as large as the whole of x), and
the keys of a memory are computed once.

x [batch, time, ...], memory [batch, memory time, M]; all return (y, state).
"""

import torch
from torch import nn


class LSTMLoop(nn.Module):
    """nn.LSTMCell step by step."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size, hidden_size)

    def forward(self, x):
        state, y = None, []
        for x_t in x.unbind(1):
            state = self.cell(x_t, state)
            y.append(state[0])
        return torch.stack(y, 1), state


class ConvLSTMLoop(nn.Module):
    """One convolution of [x_t; h] a step gives all gates, in the order i f g o."""

    def __init__(self, input_size, hidden_size, kernel, dims=2):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d}[dims]
        self.hidden_size = hidden_size
        self.conv = conv(
            input_size + hidden_size, 4 * hidden_size, kernel, padding=kernel // 2
        )

    def forward(self, x):
        h = c = x.new_zeros(len(x), self.hidden_size, *x.shape[3:])
        y = []
        for x_t in x.unbind(1):
            i, f, g, o = self.conv(torch.cat([x_t, h], 1)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            y.append(h)
        return torch.stack(y, 1), (h, c)


class AdditiveLoop(nn.Module):
    """Looks, then takes a step of nn.LSTMCell with what was read beside x_t."""

    def __init__(self, input_size, hidden_size, memory_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size + memory_size, hidden_size)
        self.W_a = nn.Linear(hidden_size, hidden_size, bias=False)
        self.U_a = nn.Linear(memory_size, hidden_size, bias=False)
        self.v = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, x, memory):
        s = c = x.new_zeros(len(x), self.cell.hidden_size)
        keys, y = self.U_a(memory), []
        for x_t in x.unbind(1):
            e = self.v(torch.tanh(self.W_a(s).unsqueeze(1) + keys))
            u = (e.softmax(1).transpose(1, 2) @ memory).squeeze(1)
            s, c = self.cell(torch.cat([x_t, u], 1), (s, c))
            y.append(torch.cat([s, u], 1))
        return torch.stack(y, 1), (s, c)


class MultiplicativeLoop(nn.Module):
    """A step of nn.LSTMCell with its last output beside x_t, then a look."""

    def __init__(self, input_size, hidden_size, memory_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size + hidden_size, hidden_size)
        self.W_a = nn.Linear(memory_size, hidden_size, bias=False)
        self.W_c = nn.Linear(memory_size + hidden_size, hidden_size, bias=False)

    def forward(self, x, memory):
        h = s = c = x.new_zeros(len(x), self.cell.hidden_size)
        keys, y = self.W_a(memory), []
        for x_t in x.unbind(1):
            s, c = self.cell(torch.cat([x_t, h], 1), (s, c))
            e = keys @ s.unsqueeze(2)
            u = (e.softmax(1).transpose(1, 2) @ memory).squeeze(1)
            h = torch.tanh(self.W_c(torch.cat([u, s], 1)))
            y.append(h)
        return torch.stack(y, 1), (h, s, c)
