"""Recurrence: gated recurrent units that can be exported with a free length.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", 2014, with
the reset gate after the product, as in cuDNN:

    r = sigmoid(W_r x + U_r h + b_r);   z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + b_n + r * (U_n h + c_n));   h' = (1 - z) * n + z * h
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ONNX_GRU_VERSION = 14


class Recurrence(nn.Module):
    """GRU layers: [B,L,D] -> [B,L,H]. A row depends on those before it only, so right padding changes no real state.

    W starts by Glorot's variance, each gate's U orthogonal, biases zero.
    """

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(width, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        for name, parameter in self.gru.named_parameters():
            _initialise(name, parameter)

    def forward(self, x: Tensor, initial: Tensor | None = None) -> Tensor:
        """Return the state of the last layer after each row; `initial` [layers,B,H] is zero if not given."""
        if torch.onnx.is_in_onnx_export():  # type: ignore[no-untyped-call, unused-ignore]
            return self._exported(x)
        states: Tensor = self.gru(x, initial)[0]
        return states

    def _exported(self, x: Tensor) -> Tensor:
        # The exporter unrolls nn.GRU to the length of its example, so each layer names the ONNX operator itself.
        rows = x.transpose(0, 1)
        for weights in self.gru.all_weights:
            rows = self._exported_layer(rows, [_onnx_order(each)[None] for each in weights])
        return rows.transpose(0, 1)

    def _exported_layer(self, rows: Tensor, weights: list[Tensor]) -> Tensor:
        hidden = self.gru.hidden_size
        output = torch.onnx.ops.symbolic(
            "GRU",
            (rows, weights[0], weights[1], torch.cat(weights[2:], dim=1)),
            {"hidden_size": hidden, "linear_before_reset": 1},
            dtype=rows.dtype,
            shape=(rows.shape[0], 1, rows.shape[1], hidden),
            version=ONNX_GRU_VERSION,
        )
        return output[:, 0]


def _onnx_order(weight: Tensor) -> Tensor:
    """Put the gates r, z, n of torch into the order z, r, n of ONNX."""
    hidden = len(weight) // 3
    return torch.cat((weight[hidden : 2 * hidden], weight[:hidden], weight[2 * hidden :]))


def _initialise(name: str, parameter: Tensor) -> None:
    if name.startswith("bias"):
        nn.init.zeros_(parameter)
    else:
        for gate in parameter.detach().chunk(3):
            (nn.init.xavier_uniform_ if name.startswith("weight_ih") else nn.init.orthogonal_)(gate)
