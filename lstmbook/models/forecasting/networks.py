"""Three networks from a window of the past to the next H steps.

    direct           the last state and the inputs of a step give that step, all H
                     at once
    recursive        one step at a time, each fed with the one before
    encoder-decoder  one LSTM reads the past, another walks over the inputs ahead

Each is called as network(window, state=None) and gives (raw [B, H, P], state):
P raw numbers a step, which a head reads. state: of the LSTM that reads the past.
"""

import torch
from torch import Tensor, nn

from ...cells import LSTMCell
from ...recurrent import Recurrent, Stack
from ...states import tree_map
from .windows import Window


def lstm(input_size: int, hidden_size: int, layers: int, dropout: float, cell="lstm"):
    """`layers` LSTMs of one size; `cell` is a preset or an LSTMSpec."""
    if layers < 1:
        raise ValueError(f"layers={layers}: give at least 1")
    first = Recurrent(LSTMCell(input_size, hidden_size, cell))
    rest = [
        Recurrent(LSTMCell(first.output_size, hidden_size, cell))
        for _ in range(layers - 1)
    ]
    return Stack(first, *rest, dropout=dropout) if rest else first


def top(state) -> Tensor:
    """h of the last layer, [B, hidden or projection]."""
    return state.h if hasattr(state, "h") else state[-1].h


class LinearPath(nn.Module):
    """The autoregressive path of LSTNet: the last q targets, linearly, to H steps.

    Where the level of a series moves out of the range that was trained on, the
    gates of a recurrent layer saturate; a linear map follows.
    Source: Lai et al. 2018, sec. 3.5.
    """

    def __init__(self, steps: int, horizon: int):
        super().__init__()
        self.steps = steps
        self.linear = nn.Linear(steps, horizon)
        # Starts as the mean of the last q values: a forecast already.
        nn.init.constant_(self.linear.weight, 1 / steps)
        nn.init.zeros_(self.linear.bias)

    def add(self, raw: Tensor, last: Tensor) -> Tensor:
        """raw [..., H, P] with the path added to the location; last [..., q]."""
        location = raw[..., :1] + self.linear(last).unsqueeze(-1)
        return torch.cat([location, raw[..., 1:]], dim=-1)


class Network(nn.Module):
    """What the three share: sizes, and the check of what comes in.

    past_features, future_features: F and K of `Window`; horizon: H
    outputs: P; linear_path: q, 0 for none
    """

    def __init__(self, past_features, future_features, horizon, linear_path, path_to):
        super().__init__()
        self.past_features, self.future_features = past_features, future_features
        self.horizon = horizon
        self.path = LinearPath(linear_path, path_to) if linear_path else None

    def check(self, window: Window, lengths):
        if lengths is not None:
            raise ValueError("windows of one batch have one length: leave lengths out")
        past, future = window.past.shape, window.future.shape
        want = (past[0], self.horizon, self.future_features)
        if past[2] != self.past_features or future != want:
            raise ValueError(
                f"window.past is {tuple(past)}, window.future {tuple(future)}: this "
                f"network wants [B, L, {self.past_features}] and "
                f"[B, {self.horizon}, {self.future_features}]"
            )
        if self.path is not None and past[1] < self.path.steps:
            raise ValueError(
                f"linear_path={self.path.steps} reads further back than the history "
                f"of {past[1]} steps"
            )

    def with_path(self, raw: Tensor, window: Window) -> Tensor:
        if self.path is None:
            return raw
        return self.path.add(raw, window.past[:, -self.path.steps :, 0])


class Direct(Network):
    """All H steps at once, from the last state of one LSTM.

        raw_k = V relu(A h + B x_k + e_k)

    h [hidden] is the state after the window, x_k the inputs known in advance of
    step k and e_k a vector learned for it; A, B and V serve every step.
    Source: the direct strategy, as in Wen et al. 2017 (MQ-RNN), sec. 3.
    """

    def __init__(
        self, past_features: int, future_features: int, horizon: int, outputs: int,
        hidden_size: int = 64, layers: int = 1, dropout: float = 0.0, cell="lstm",
        linear_path: int = 0,
    ):  # fmt: skip
        super().__init__(past_features, future_features, horizon, linear_path, horizon)
        self.layer = lstm(past_features, hidden_size, layers, dropout, cell)
        self.dropout = nn.Dropout(dropout)
        self.A = nn.Linear(self.layer.output_size, hidden_size)
        self.B = nn.Parameter(torch.zeros(hidden_size, future_features))
        if future_features:
            nn.init.kaiming_uniform_(self.B, 5**0.5)
        self.e = nn.Parameter(0.1 * torch.randn(horizon, hidden_size))
        self.V = nn.Linear(hidden_size, outputs)

    def forward(self, window: Window, state=None, lengths=None):
        self.check(window, lengths)
        _, state = self.layer(window.past, state)
        h = self.A(self.dropout(top(state))).unsqueeze(1)
        raw = self.V(torch.relu(h + window.future @ self.B.T + self.e))
        return self.with_path(raw, window), state


class EncoderDecoder(Network):
    """One LSTM reads the past; a second starts in its state and writes the future.

    The decoder's input at step k is what is known of it in advance (`future`), and
    never a target: it cannot stumble over its own mistakes.
    Source: Sutskever et al. 2014; with inputs known ahead, Wen et al. 2017, sec. 3.
    """

    def __init__(
        self, past_features: int, future_features: int, horizon: int, outputs: int,
        hidden_size: int = 64, layers: int = 1, dropout: float = 0.0, cell="lstm",
        linear_path: int = 0,
    ):  # fmt: skip
        super().__init__(past_features, future_features, horizon, linear_path, horizon)
        self.layer = lstm(past_features, hidden_size, layers, dropout, cell)
        self.decoder = lstm(future_features, hidden_size, layers, dropout, cell)
        self.dropout = nn.Dropout(dropout)
        self.V = nn.Linear(self.decoder.output_size, outputs)

    def forward(self, window: Window, state=None, lengths=None):
        self.check(window, lengths)
        _, state = self.layer(window.past, state)
        y, _ = self.decoder(window.future, state)
        return self.with_path(self.V(self.dropout(y)), window), state


class Recursive(Network):
    """One step at a time: the input is the step before, and what is known of this.

    The step before is the target as it was, in the past and, where the window has
    `taught`, ahead of it (teacher forcing); else it is the network's own. Measured
    inputs have no place here: their future would have to be forecast too.

    head: reads the raw numbers; the network feeds itself with its values
    Source: Salinas et al. 2020 (DeepAR), sec. 3.
    """

    def __init__(
        self, past_features: int, future_features: int, horizon: int, head: nn.Module,
        hidden_size: int = 64, layers: int = 1, dropout: float = 0.0, cell="lstm",
        linear_path: int = 0,
    ):  # fmt: skip
        super().__init__(past_features, future_features, horizon, linear_path, 1)
        self.own = past_features - future_features  # the target, and perhaps its flag
        if self.own not in (1, 2):
            raise ValueError(
                f"past_features={past_features}, future_features={future_features}: "
                "a recursive network reads the target, its flag and what is known in "
                "advance; leave the measured inputs out (use_past=False)"
            )
        self.head = head
        self.layer = lstm(past_features, hidden_size, layers, dropout, cell)
        self.dropout = nn.Dropout(dropout)
        self.V = nn.Linear(self.layer.output_size, head.size)

    def forward(self, window: Window, state=None, lengths=None):
        """Teacher forcing where there is `taught`, else fed with its own points."""
        self.check(window, lengths)
        if window.taught is None:
            raw, _, state = self._walk(window, state, 1, self.head.point)
            return raw[:, 0], state
        before = torch.cat([window.past[:, :, : self.own], self._taught(window)], dim=1)
        inputs = torch.cat([before[:, :-1], self._known(window)], dim=2)
        y, state = self.layer(inputs, state)
        raw = self.V(self.dropout(y[:, -self.horizon :]))
        if self.path is not None:
            last = before[:, -self.horizon - self.path.steps : -1, 0]
            last = last.unfold(1, self.path.steps, 1)
            raw = self.path.add(raw.unsqueeze(2), last).squeeze(2)
        return raw, state

    @torch.no_grad()
    def sample(self, window: Window, uniform: Tensor) -> Tensor:
        """Trajectories, [B, S, H], each fed with its own draws.

        uniform: [S, H] numbers in (0, 1), of which each draw is made. All rows of
        a batch share them, so that a row does not depend on its neighbours.
        """
        self.check(window, None)
        draws = iter(uniform.to(window.past).unbind(1))
        _, values, _ = self._walk(
            window, None, len(uniform), lambda raw: self.head.draw(raw, next(draws))
        )
        return values

    def _walk(self, window, state, copies, choose):
        """raw [B, S, H, P], values [B, S, H] and the state after them."""
        B, S = len(window.past), copies
        own = window.past[:, :, : self.own]
        known = self._known(window)
        if window.past.shape[1] > 1:
            lead = torch.cat([own[:, :-1], known[:, : -self.horizon]], dim=2)
            _, state = self.layer(lead, state)
            state = tree_map(lambda s: s.repeat_interleave(S, dim=0), state)
        own = own.repeat_interleave(S, dim=0)
        values, before = own[:, :, 0], own[:, -1]
        raws = []
        for x in known[:, -self.horizon :].repeat_interleave(S, dim=0).unbind(1):
            inputs = torch.cat([before, x], dim=1).unsqueeze(1)
            y, state = self.layer(inputs, state)
            raw = self.V(self.dropout(y))
            if self.path is not None:
                raw = self.path.add(raw, values[:, -self.path.steps :])
            raws.append(raw.view(B, S, 1, -1))
            value = choose(raw.view(B, S, -1)).reshape(B * S, 1)
            values = torch.cat([values, value], dim=1)
            before = torch.cat([value, torch.zeros_like(before[:, 1:])], dim=1)
        values = values[:, -self.horizon :].reshape(B, S, self.horizon)
        return torch.cat(raws, dim=2), values, state

    def _taught(self, window):
        missing = window.taught.isnan()
        columns = [window.taught.nan_to_num(), missing.to(window.past)]
        return torch.stack(columns[: self.own], dim=2)

    def _known(self, window):
        """What is known in advance of the steps 1 to L + H - 1."""
        return torch.cat([window.past[:, 1:, self.own :], window.future], dim=1)
