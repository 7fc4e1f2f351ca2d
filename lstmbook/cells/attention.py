"""Attention: a cell that looks at a memory, at every step where it needs to.

    cell = AdditiveAttention(LSTMCell(D + M, H), memory_size=M)
    y, state, trace = Recurrent(cell)(x, memory=memory, memory_lengths=n, trace=True)
    trace.gates.attention         # [batch, time, memory time], rows sum to one

An attention cell is a cell: it wraps another one and feeds it, beside the input x
[.., D], what it has read. The memory [batch, memory time, M] belongs to the
sequence and not to the step, so it lives in ctx, with its keys computed once.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..states import check_lengths, padding
from .cell import Cell


class AttentionContext(NamedTuple):
    """What `begin` prepares, once a sequence.

    memory: [batch, memory time, M], zero at the padding
    keys: [batch, memory time, A], what the query is compared with
    pad: [batch, memory time] bool, True where a row of the memory has ended
    """

    memory: Tensor
    keys: Tensor
    pad: Tensor


class AttentionState(NamedTuple):
    """h: the output, [batch, output]; s: the wrapped cell's h, [batch, H]."""

    h: Tensor
    s: Tensor


class AttentionLSTMState(NamedTuple):
    """h: the output, [batch, output]; s, c: the wrapped LSTM's h and c, [batch, H]."""

    h: Tensor
    s: Tensor
    c: Tensor


class AttentionGates(NamedTuple):
    """attention: weights over the memory, [batch, memory time]; cell: its gates."""

    attention: Tensor
    cell: NamedTuple


class AttentionCell(Cell):
    """A cell that reads from a memory; a subclass says how it looks and when.

    cell: the wrapped cell (LSTM, GRU or plain RNN) with outputs of width H; its
        input is [x; what was read], so its input_size is D plus that width
    memory_size: M, the width of the memory
    fed: width of what is put beside x
    out: width of the output

    A subclass writes `keys` and `score`. `step` looks before the step, as Bahdanau
    et al. do; a subclass that looks later has its own.
    """

    def __init__(self, cell: Cell, memory_size: int, fed: int, out: int):
        nn.Module.__init__(self)  # its weights are the wrapped cell's and its own
        if memory_size < 1:
            raise ValueError(f"memory_size={memory_size}: it must be at least 1")
        if cell.input_size < fed:
            raise ValueError(
                f"the wrapped cell has input_size={cell.input_size}, and {fed} of "
                f"that are for what is read: give it the features of x plus {fed}"
            )
        fields = cell.State._fields
        states = {("h",): AttentionState, ("h", "c"): AttentionLSTMState}
        if fields not in states:
            raise ValueError(
                f"attention wraps a cell with the state (h) or (h, c), "
                f"{type(cell).__name__} has {fields}"
            )
        self.State = states[fields]
        self.cell, self.memory_size = cell, memory_size
        self.input_size = cell.input_size - fed
        self.hidden_size, self.output_size = cell.hidden_size, out
        self.initial = None  # a learned start is the wrapped cell's
        # W x is done for all steps at once where the cell's lift is W x + b;
        # a lift that mixes its inputs has to wait for what is read.
        self._lifts = type(cell).lift is Cell.lift

    W = property(lambda self: self.cell.W)

    def state_sizes(self) -> tuple[int, ...]:
        return (self.output_size, *self.cell.state_sizes())

    def initial_state(self, batch: int, x: Tensor | None = None):
        """Zeros before the first output, and the wrapped cell's own start."""
        return self.start(self.cell.initial_state(batch, x))

    def start(self, state):
        """The state before the first step that has the wrapped cell's given one."""
        return self.State(state[0].new_zeros(len(state[0]), self.output_size), *state)

    def lift(self, x: Tensor) -> Tensor:
        if not self._lifts:
            return x
        return F.linear(x, self.W[:, : self.input_size], self.cell.b)

    def _inner(self, z: Tensor, fed: Tensor, state):
        """One step of the wrapped cell with [x; fed] as its input."""
        if self._lifts:
            z = z + F.linear(fed, self.W[:, self.input_size :])
        else:
            z = self.cell.lift(torch.cat([z, fed], dim=1))
        return self.cell.step(z, self.cell.State(*state[1:]))

    def begin(self, batch: int, memory=None, lengths: Tensor | None = None):
        """Keys and mask of a memory.

        memory: [batch, memory time, memory_size], or an AttentionContext that an
            earlier call gave: a decoder run step by step computes its keys once
        lengths: [batch], real steps of each row of the memory; the rest is padding
            and whatever stands there changes nothing
        """
        if isinstance(memory, AttentionContext):
            if lengths is not None or len(memory.memory) != batch:
                raise ValueError(
                    f"this memory was prepared for {len(memory.memory)} rows, x has "
                    f"{batch}; its lengths are known and cannot be given again"
                )
            return memory
        if memory is None:
            raise ValueError(
                f"{type(self).__name__} reads from a memory: give "
                f"layer(x, memory=[batch, memory time, {self.memory_size}])"
            )
        M = self.memory_size
        if memory.dim() != 3 or (len(memory), memory.shape[2]) != (batch, M):
            raise ValueError(
                f"memory has shape {tuple(memory.shape)}, this cell and batch need "
                f"[batch={batch}, memory time, memory_size={M}]"
            )
        if memory.shape[1] == 0:
            raise ValueError(f"memory has shape {tuple(memory.shape)}: it is empty")
        pad = torch.zeros(memory.shape[:2], dtype=torch.bool, device=memory.device)
        if lengths is not None:
            check_lengths(lengths, memory, "memory_lengths", "memory")
            pad = padding(lengths.to(memory.device), memory.shape[1])
            # A weight of zero times NaN would still be NaN.
            memory = memory.masked_fill(pad.unsqueeze(2), 0)
        return AttentionContext(memory, self.keys(memory), pad)

    def keys(self, memory: Tensor) -> Tensor:
        """What queries are compared with: [batch, memory time, A]."""
        raise NotImplementedError

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """How well each key fits: query [batch, H], scores [batch, memory time]."""
        raise NotImplementedError

    def step(self, z: Tensor, state, ctx: AttentionContext):
        """Look, then step: z [batch, rows] from `lift`; (state, AttentionGates).

        The output is [s_t; u], the wrapped cell's beside what was read.
        """
        a, u = self.attend(state.s, ctx)
        inner, gates = self._inner(z, u, state)
        return self.State(torch.cat([inner.h, u], 1), *inner), AttentionGates(a, gates)

    def attend(self, query: Tensor, ctx: AttentionContext) -> tuple[Tensor, Tensor]:
        """Weights a [batch, memory time] and what they read, u [batch, M]."""
        e = self.score(query, ctx.keys)
        # The lowest number and not -inf: a row without a real step, which a GPU
        # does not stop to look for, then reads zeros and not NaN.
        a = e.masked_fill(ctx.pad, torch.finfo(e.dtype).min).softmax(dim=1)
        u = torch.bmm(a.unsqueeze(1).to(ctx.memory.dtype), ctx.memory)
        return a, u.squeeze(1).to(query.dtype)

    def config(self) -> dict:
        return {"cell": self.cell, "memory_size": self.memory_size}

    def extra_repr(self) -> str:
        return f"memory_size={self.memory_size}"

    def _uniform(self, *shape: int) -> nn.Parameter:
        bound = 1 / math.sqrt(shape[-1])
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class AdditiveAttention(AttentionCell):
    """Looks with the state before the step, then takes the step with what it read.

    e_j = v · tanh(W_a s_{t-1} + U_a m_j),  α = softmax(e),  u = Σ_j α_j m_j
    s_t = cell([x_t; u], s_{t-1}),  output [s_t; u], of width H + M

    cell: the wrapped cell, input_size = D + M
    memory_size: M
    size: A, the width of the comparison; H unless given

    Weights: W_a [A, H], U_a [A, M], v [A]. The output holds both that the readout
    of the paper sees (its eq. 4).
    Source: Bahdanau, Cho and Bengio 2015, eq. 4-6 and appendices A.1.2, A.2.2.
    """

    def __init__(self, cell: Cell, memory_size: int, size: int | None = None):
        H = cell.output_size
        super().__init__(cell, memory_size, memory_size, H + memory_size)
        size = H if size is None else size
        if size < 1:
            raise ValueError(f"size={size}: the comparison needs at least 1 unit")
        self.W_a = self._uniform(size, H)
        self.U_a = self._uniform(size, memory_size)
        self.v = self._uniform(size)

    def keys(self, memory: Tensor) -> Tensor:
        return F.linear(memory, self.U_a)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.tanh(F.linear(query, self.W_a).unsqueeze(1) + keys) @ self.v

    def config(self) -> dict:
        return super().config() | {"size": len(self.v)}


class UniformAttention(AttentionCell):
    """Reads the mean of its memory at every step: attention that cannot choose.

    u = mean of the memory's real steps,  s_t = cell([x_t; u], s_{t-1}), output
    [s_t; u], of width H + M

    With a memory of one step this is the decoder with a fixed vector of Cho et al.
    2014 (section 2.2): the same code, and the same u at every step.

    cell: the wrapped cell, input_size = D + M
    memory_size: M
    """

    def __init__(self, cell: Cell, memory_size: int):
        super().__init__(cell, memory_size, memory_size, cell.output_size + memory_size)

    def keys(self, memory: Tensor) -> Tensor:
        return memory.new_zeros(*memory.shape[:2], 0)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return query.new_zeros(keys.shape[:2])


class MultiplicativeAttention(AttentionCell):
    """Takes the step, then looks with the state after it; the output is fed back.

    s_t = cell([x_t; h_{t-1}], s_{t-1}),  α = softmax(e),  u = Σ_j α_j m_j
    e_j = s_t · m_j ("dot"; M = H) or s_t · W_a m_j ("general")
    h_t = tanh(W_c [u; s_t]), the output, of width H

    cell: the wrapped cell, input_size = D + H (input feeding)
    memory_size: M
    score: "general" or "dot"
    scaled: divide e by sqrt(H), which keeps the softmax from saturating when H is
        large (Vaswani et al. 2017, eq. 1)

    Weights: W_c [H, M + H]; W_a [H, M] for "general".
    Source: Luong, Pham and Manning 2015, eq. 5-8 and section 3.3.
    """

    def __init__(
        self, cell: Cell, memory_size: int, score: str = "general",
        scaled: bool = False,
    ):  # fmt: skip
        H = cell.output_size
        super().__init__(cell, memory_size, H, H)
        if score not in ("general", "dot"):
            raise ValueError(
                f"score={score!r}: choose 'general' or 'dot', or AdditiveAttention"
            )
        if score == "dot" and memory_size != H:
            raise ValueError(
                f"score='dot' compares the memory (memory_size={memory_size}) with the "
                f"cell's output ({H}): make them equal, or take 'general'"
            )
        self.scaled = scaled
        self.W_a = self._uniform(H, memory_size) if score == "general" else None
        self.W_c = self._uniform(H, memory_size + H)

    def keys(self, memory: Tensor) -> Tensor:
        return memory if self.W_a is None else F.linear(memory, self.W_a)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        if self.scaled:
            query = query / math.sqrt(query.shape[1])
        return torch.bmm(keys, query.unsqueeze(2).to(keys.dtype)).squeeze(2)

    def step(self, z: Tensor, state, ctx: AttentionContext):
        """Step, then look: z [batch, rows] from `lift`; (state, AttentionGates)."""
        inner, gates = self._inner(z, state.h, state)
        a, u = self.attend(inner.h, ctx)
        h = torch.tanh(F.linear(torch.cat([u, inner.h], 1), self.W_c)).to(u.dtype)
        return self.State(h, *inner), AttentionGates(a, gates)

    def config(self) -> dict:
        return super().config() | {
            "score": "dot" if self.W_a is None else "general",
            "scaled": self.scaled,
        }
