"""Choosing symbols from what a model predicts, one step after another.

    ids = sample(model, prompt, 200, temperature=0.8, top_p=0.95, seed=1)
    best = greedy(model, prompt, end=0, max_length=30)
    beams = beam_search(model, prompt, end=0, max_length=30, width=5)

Any model serves that is called as model(ids, state) -> (logits, state), with ids
[batch, time] and logits [batch, time, V]. A model that looks at something else, a
sentence to translate, is called as model(ids, state, ctx); state and ctx are tensors
with a row for each row of ids, or tuples of such.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .modes import evaluating
from .states import index


def probabilities(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """What is drawn from: softmax(logits / temperature), its tail cut off.

    logits: [..., V]
    temperature: towards 0 the likeliest symbol wins, 1 is the model as it is,
        above 1 is bolder; 0 itself is the likeliest symbol (greedy)
    top_k: keep the k likeliest symbols (Fan et al. 2018, sec. 5.2)
    top_p: keep the fewest likeliest symbols that together have at least this
        probability, the "nucleus" (Holtzman et al. 2020, eq. 3)

    With both, top_k cuts first and top_p cuts what is left. Returns [..., V],
    which sums to one. Among equal logits the symbols with the lower numbers stay.
    """
    _check(temperature, top_k, top_p)
    if temperature == 0:
        top_k, temperature = 1, 1.0
    logits = logits.float() / temperature
    order = logits.argsort(dim=-1, descending=True, stable=True)
    p = logits.gather(-1, order).softmax(-1)
    if top_k is not None:
        p[..., top_k:] = 0
        p = p / p.sum(-1, keepdim=True)
    if top_p is not None:
        before = p.cumsum(-1) - p  # what the likelier ones have together
        p = p.masked_fill(before >= top_p, 0)
        p = p / p.sum(-1, keepdim=True)
    return torch.zeros_like(p).scatter(-1, order, p)


@torch.no_grad()
def sample(
    model, prompt: Tensor, steps: int, *, temperature: float = 1.0,
    top_k: int | None = None, top_p: float | None = None,
    seed: int | None = None, generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Read a prompt, then draw `steps` symbols, each fed back in.

    prompt: ids [time], or [batch, time] for several that are as long, at least one
    temperature, top_k, top_p: see `probabilities`
    seed: draws the same symbols again; or give a `generator` (of the CPU)

    Returns ids [steps] or [batch, steps] on the CPU. The model's training mode
    is left as it was.
    """
    _check(temperature, top_k, top_p)
    if prompt.dim() not in (1, 2) or prompt.numel() == 0:
        raise ValueError(
            f"prompt has shape {list(prompt.shape)}: give ids [time] or "
            "[batch, time], at least one step"
        )
    if steps < 0:
        raise ValueError(f"steps={steps}: it must be 0 or more")
    if seed is not None:
        if generator is not None:
            raise ValueError("give a seed or a generator, not both")
        generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    with evaluating(model):
        ids = prompt.reshape(-1, prompt.shape[-1]).to(device)
        written, state = [], None
        for _ in range(steps):
            logits, state = model(ids, state)
            p = probabilities(logits[:, -1], temperature, top_k, top_p).cpu()
            written.append(torch.multinomial(p, 1, generator=generator))
            ids = written[-1].to(device)
    drawn = torch.cat(written, 1) if written else prompt.new_zeros(len(ids), 0).cpu()
    return drawn[0] if prompt.dim() == 1 else drawn


class Hypothesis(NamedTuple):
    """What a search found.

    ids: [time], the symbols after the prompt, the end symbol left out
    log_probability: the model's own, in nats, of these and of the end if it came
    score: what hypotheses are ranked by
    ended: whether the end symbol came before max_length
    """

    ids: Tensor
    log_probability: float
    score: float
    ended: bool


def greedy(
    model, prompt: Tensor, *, end: int, max_length: int, min_length: int = 0,
    state=None, ctx=None,
) -> list[Hypothesis]:  # fmt: skip
    """The likeliest symbol at each step, until the end symbol: one a row.

    Arguments as in `beam_search`; the score is the log-probability. It need not be
    the likeliest sequence: a good beginning may have only bad ends.
    """
    _check_search(model, prompt, end, max_length, min_length)
    device = next(model.parameters()).device
    with evaluating(model), torch.no_grad():
        ids, written, costs = prompt.to(device), [], []
        ended = torch.zeros(len(ids), dtype=torch.bool, device=device)
        for t in range(max_length):
            log_p, state = _advance(model, ids, state, ctx, end, t < min_length)
            best, symbol = log_p.max(1)
            costs.append(best.masked_fill(ended, 0))
            written.append(symbol.masked_fill(ended, end))
            ended = ended | (symbol == end)
            ids = symbol.unsqueeze(1)
            if ended.all():
                break
    total = torch.stack(costs, 1).sum(1)
    return [
        _hypothesis(*row, end)
        for row in zip(torch.stack(written, 1), total, total, strict=True)
    ]


def length_penalty(length: Tensor, power: float) -> Tensor:
    """((5 + length) / 6)^power, what a log-probability is divided by.

    power: 0 compares probabilities, which favours short sequences; 1 is nearly
        the mean over symbols
    Source: Wu et al. 2016, eq. 14, where the power is called alpha, without the
        coverage penalty.
    """
    return ((5 + length) / 6) ** power


def beam_search(
    model, prompt: Tensor, *, end: int, max_length: int, min_length: int = 0,
    width: int = 5, penalty: float = 0.6, state=None, ctx=None,
) -> list[list[Hypothesis]]:  # fmt: skip
    """The best sequences found when `width` of them are followed at once.

    model: see the head of this module
    prompt: ids [batch, time], at least one: what is read first, the start symbol say
    end: the symbol that ends a sequence
    max_length: symbols at most, the end among them
    min_length: symbols at least, the end not counted
    width: hypotheses kept for each row, those that have ended among them
    penalty: the power in `length_penalty`; lengths are counted with the end symbol
    state, ctx: what the model starts from, a row for each of the prompt's

    Returns up to `width` hypotheses a row, the best score first. With width=1 it is
    `greedy`; as wide as there are sequences it is the exact search. In between a wider
    beam need not find a better score, though it mostly does: a prefix that a narrow
    beam keeps may fall out of a wide one, when more of its rivals are there.
    The idea is old (Lowerre 1976); for networks see Sutskever et al. 2014, sec. 3.2.
    """
    _check_search(model, prompt, end, max_length, min_length)
    if width < 1:
        raise ValueError(f"width={width}: at least one hypothesis is followed")
    if not penalty >= 0:
        raise ValueError(f"penalty={penalty}: it must be 0 or more")
    device, B = next(model.parameters()).device, len(prompt)
    with evaluating(model), torch.no_grad():
        last, beams = prompt.to(device), 1
        written = last.new_empty(B, 1, 0)
        total = torch.zeros(B, 1, device=device)
        length = torch.zeros(B, 1, dtype=torch.int64, device=device)
        ended = torch.zeros(B, 1, dtype=torch.bool, device=device)
        for t in range(max_length):
            log_p, state = _advance(model, last, state, ctx, end, t < min_length)
            log_p = log_p.view(B, beams, -1)
            V = log_p.shape[2]
            # What has ended stays as it is: one way on, at no cost.
            stay = torch.full_like(log_p[0, 0], -torch.inf)
            stay[end] = 0
            log_p = torch.where(ended.unsqueeze(2), stay, log_p)
            total = total.to(log_p.dtype).unsqueeze(2) + log_p  # [B, beams, V]
            length = length + ~ended
            score = total / length_penalty(length.to(total.dtype), penalty).unsqueeze(2)
            k = min(width, beams * V)
            score, at = score.flatten(1).topk(k, dim=1)
            parent, symbol = at // V, at % V

            def follow(a, parent=parent):
                return a.gather(1, parent)

            total = total.flatten(1).gather(1, at)
            length = follow(length)
            ended = follow(ended) | (symbol == end)
            written = torch.cat(
                [written.gather(1, parent.unsqueeze(2).expand(-1, -1, t)),
                 symbol.unsqueeze(2)], dim=2,
            )  # fmt: skip
            rows = torch.arange(B, device=device).unsqueeze(1)
            state = None if state is None else index(state, _flat(rows, parent, beams))
            if ctx is not None and k != beams:
                ctx = index(ctx, _flat(rows, torch.zeros_like(parent), beams))
            last, beams = symbol.view(-1, 1), k
            if (ended | (total == -torch.inf)).all():
                break
    return [
        [
            _hypothesis(*beam, end)
            for beam in zip(*row, strict=True)
            if beam[1] > -torch.inf
        ]
        for row in zip(written, total, score, strict=True)
    ]


def _flat(rows, parent, beams):
    """Row numbers in a batch of B * beams rows."""
    return (rows * beams + parent).flatten()


def _advance(model, ids, state, ctx, end, forbid_end):
    """Log-probabilities [rows, V] of the next symbol, and the state."""
    logits, state = model(ids, state) if ctx is None else model(ids, state, ctx)
    log_p = logits[:, -1]
    log_p = log_p.log_softmax(1, torch.promote_types(log_p.dtype, torch.float32))
    if not 0 <= end < log_p.shape[1]:
        raise ValueError(f"end={end}: the model has symbols 0 to {log_p.shape[1] - 1}")
    if forbid_end:
        log_p[:, end] = -torch.inf
    return log_p, state


def _hypothesis(ids, total, score, end):
    ids = ids.cpu()
    at = (ids == end).nonzero()
    ids = ids[: int(at[0])] if len(at) else ids
    return Hypothesis(ids, float(total), float(score), bool(len(at)))


def _check_search(model, prompt, end, max_length, min_length):
    if prompt.dim() != 2 or prompt.numel() == 0 or prompt.is_floating_point():
        raise ValueError(
            f"prompt is {prompt.dtype} {list(prompt.shape)}: give ids [batch, time], "
            "at least one row and one step"
        )
    if max_length < 1 or not 0 <= min_length < max_length:
        raise ValueError(
            f"min_length={min_length}, max_length={max_length}: a search takes at "
            "least one step, and min_length must leave one for the end"
        )


def _check(temperature, top_k, top_p):
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature}: it must be 0 or more")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: at least one symbol has to stay")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: a probability above 0, at most 1")
