"""Choosing symbols from what a model predicts, one step after another.

    ids = sample(model, prompt, 200, temperature=0.8, top_p=0.95, seed=1)

Any model serves that is called as model(ids, state) -> (logits, state), with ids
[batch, time] and logits [batch, time, V].
"""

import torch
from torch import Tensor

from .modes import evaluating


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


def _check(temperature, top_k, top_p):
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature}: it must be 0 or more")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: at least one symbol has to stay")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: a probability above 0, at most 1")
