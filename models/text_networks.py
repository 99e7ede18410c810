"""Text encoders: token ids [B,T], 0 being padding, become one vector [B,W] a text; trained from scratch.

TextCNN: Kim, "Convolutional Neural Networks for Sentence Classification", 2014: convolutions of several widths over the
word vectors, each followed by its largest value over the text. TextGRU: the last state of gated recurrent units in both
directions (Cho et al., 2014), at the text's own end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class TextCNN(nn.Module):
    """max over time of relu(conv_w(x)), for each width w; then one dense layer."""

    def __init__(
        self,
        vocabulary: int,
        output: int,
        width: int = 64,
        filters: int = 64,
        sizes: tuple[int, ...] = (1, 2, 3),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if min(width, filters, *sizes) < 1 or not 0 <= dropout < 1:
            raise ValueError(f"width {width}, filters {filters}, sizes {sizes} must be above 0, dropout in [0, 1)")
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, size, padding=size - 1) for size in sizes)
        self.output = nn.Linear(filters * len(sizes), output)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector a text [B,W]."""
        words = self.dropout(self.words(tokens)).transpose(1, 2)
        # relu comes first, so a window of nothing but padding can at most say what the bias says.
        pooled = [functional.relu(convolution(words)).amax(dim=2) for convolution in self.convolutions]
        result: Tensor = self.output(self.dropout(torch.cat(pooled, dim=1)))
        return result


class TextGRU(nn.Module):
    """Both directions' last states at the text's own end; then one dense layer."""

    def __init__(self, vocabulary: int, output: int, width: int = 64, hidden: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        if min(width, hidden) < 1 or not 0 <= dropout < 1:
            raise ValueError(f"width {width} and hidden {hidden} must be above 0, dropout in [0, 1)")
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.forwards, self.backwards = nn.GRU(width, hidden, batch_first=True), nn.GRU(width, hidden, batch_first=True)
        self.output = nn.Linear(2 * hidden, output)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector a text [B,W]."""
        lengths = (tokens != 0).sum(dim=1)
        words = self.dropout(self.words(tokens))
        last = (lengths - 1).clamp(min=0)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        # Each text is turned around within its own length, so that padding stays at the end.
        turned = words.gather(1, (last[:, None] - places).clamp(min=0)[..., None].expand_as(words))
        states = [self._last(self.forwards(words)[0], last), self._last(self.backwards(turned)[0], last)]
        result: Tensor = self.output(self.dropout(torch.cat(states, dim=1)))
        return result

    @staticmethod
    def _last(states: Tensor, last: Tensor) -> Tensor:
        return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]
