"""torch's recurrent layers by their definitions: RNN, GRU and LSTM, of which torch's own take no stack of weights.

Each form takes what torch's function of the same name does, after the two functions that it calls.
Formulas and the order of the gates: torch.nn.RNN, GRU and LSTM.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Dropout = Callable[[Tensor, float, bool], Tensor]
# From what the input gives, (n, gates * width), the states before, and what the state is multiplied by
# to the states after.
Cell = Callable[[Tensor, tuple[Tensor, ...], Callable[[Tensor], Tensor]], tuple[Tensor, ...]]

PACKED = "packed sequences have no form for a stack of models: pad them"


def _plain(activation: Callable[[Tensor], Tensor]) -> Cell:
    return lambda given, states, times: (activation(given + times(states[0])),)


def _gru(given: Tensor, states: tuple[Tensor, ...], times: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    (h,) = states
    of_r, of_z, of_c = given.chunk(3, -1)
    by_r, by_z, by_c = times(h).chunk(3, -1)
    r, z = torch.sigmoid(of_r + by_r), torch.sigmoid(of_z + by_z)
    c = torch.tanh(of_c + r * by_c)
    return (c + z * (h - c),)


def _lstm(given: Tensor, states: tuple[Tensor, ...], times: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    h, memory = states
    i, f, g, o = (given + times(h)).chunk(4, -1)
    memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def _layers(
    cell: Cell, linear: Linear, drop: Dropout, x: Tensor, states: Tensor | Sequence[Tensor], weights: Sequence[Tensor],
    has_biases: bool, count: int, dropout: float, training: bool, bidirectional: bool, batch_first: bool = False,
    *more: Any,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Outputs and last states, in torch's shapes: all layers, in one or both directions."""
    if more or not isinstance(batch_first, bool):
        raise NotImplementedError(PACKED)
    begin = (states,) if isinstance(states, Tensor) else tuple(states)
    ways = 2 if bidirectional else 1
    each = len(weights) // (count * ways)
    steps = x.unbind(1 if batch_first else 0)
    last: list[tuple[Tensor, ...]] = []
    for layer in range(count):
        sides = []
        for way in range(ways):
            place = layer * ways + way
            own = weights[place * each : (place + 1) * each]
            first = tuple(state[place] for state in begin)
            outputs, end = _walk(cell, linear, steps[::-1] if way else steps, first, own, has_biases)
            sides.append(outputs[::-1] if way else outputs)
            last.append(end)
        steps = tuple(torch.cat(sides_at, -1) for sides_at in zip(*sides, strict=True))
        if dropout and training and layer < count - 1:
            steps = drop(torch.stack(steps), dropout, training).unbind(0)
    return torch.stack(steps, 1 if batch_first else 0), *(torch.stack(kind) for kind in zip(*last, strict=True))


def _walk(
    cell: Cell, linear: Linear, steps: Sequence[Tensor], states: tuple[Tensor, ...], own: Sequence[Tensor],
    has_biases: bool,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:  # fmt: skip
    by_input, by_state = own[:2]
    input_bias, state_bias = own[2:4] if has_biases else (None, None)
    # What comes from the input waits for no state: all steps at once.
    given = linear(torch.stack(list(steps)), by_input, input_bias).unbind(0)
    outputs = []
    for sums in given:
        states = cell(sums, states, lambda h: linear(h, by_state, state_bias))
        outputs.append(states[0])
    return outputs, states


FORMS: Mapping[Any, Callable[..., Any]] = {
    torch.rnn_tanh: partial(_layers, _plain(torch.tanh)),
    torch.rnn_relu: partial(_layers, _plain(torch.relu)),
    torch.gru: partial(_layers, _gru),
    torch.lstm: partial(_layers, _lstm),
}
