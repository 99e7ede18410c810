"""MultVAE: a variational autoencoder of the history.

Liang et al., "Variational Autoencoders for Collaborative Filtering", 2018 (Mult-VAE, and Mult-DAE without the
variational part), with the encoder and the user-specific beta of Shenbin et al., "RecVAE: A New Variational Autoencoder
for Top-N Recommendations with Implicit Feedback", 2020, as options; its composite prior and alternating updates are
left out.

    h = tanh(x V / |x| + b)                                                            (Mult-VAE)
    h_0 = LN(swish(x V / |x| + b));  h_l = LN(swish(A_l h_{l-1} + h_0 + .. + h_{l-1})) (RecVAE, l = 1..blocks)
    [mu, log s^2] = M h + m;   z = mu + s * noise in training, mu otherwise
    user vector = [tanh(D z + d), 1];   score(i) = user . [W_i, c_i]
    penalty = beta KL,  KL = 1/2 sum_d (mu_d^2 + s_d^2 - 1 - log s_d^2)

beta rises from 0 over the first training passes (Bowman et al., "Generating Sentences from a Continuous Space", 2016).
RecVAE's beta is gamma times the number of events. The paper's input dropout is the masking of histories in training.
V, W, A, M and D start by Glorot's variance, biases at zero but for those of log s^2: s starts at 0.1. Without a
`decoder` layer the user vector is [z, 1]. Without a penalty (beta = gamma = 0) it is Mult-DAE: z = tanh(mu).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder
from models.event_pooling import EventPooling
from models.initialisation import glorot

# At 1 the noise hides at first what there is to learn.
FIRST_DEVIATION = 0.1


class MultVAE(UserEncoder):
    """Encoder of a history into a normal distribution; the last layer of the decoder is the item table."""

    objective = "reconstruction"
    passes: Tensor

    def __init__(
        self,
        item_count: int,
        width: int = 128,
        hidden: int = 256,
        blocks: int = 0,
        beta: float = 0.02,
        gamma: float = 0.0,
        anneal_steps: int = 2_000,
        decoder: int = 128,
    ) -> None:
        super().__init__()
        if min(width, hidden) < 1 or min(blocks, decoder) < 0:
            raise ValueError(f"{width=} and {hidden=} must be at least 1, {blocks=} and {decoder=} at least 0")
        if min(beta, gamma, anneal_steps) < 0:
            raise ValueError(f"beta {beta}, gamma {gamma} and anneal_steps {anneal_steps} must be at least 0")
        self.beta, self.gamma, self.anneal_steps = beta, gamma, anneal_steps
        self.variational = variational = max(beta, gamma) > 0
        self.encoder_items = nn.Embedding(item_count, hidden)
        self.decoder_items = nn.Embedding(item_count, decoder or width)
        self.item_bias = nn.Parameter(torch.zeros(item_count))
        self.pooling = EventPooling(hidden, "l2")
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.blocks = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(blocks + 1 if blocks else 0))
        self.bottleneck = nn.Linear(hidden, 2 * width if variational else width)
        self.decoder = nn.Linear(width, decoder) if decoder else None
        self.register_buffer("passes", torch.zeros((), dtype=torch.long))
        self._penalty: Tensor | None = None
        self.apply(glorot)
        if variational:
            nn.init.constant_(self.bottleneck.bias[width:], 2 * math.log(FIRST_DEVIATION))

    def input_vectors(self) -> Tensor:
        """Return the encoder's rows with the padding row [N+1,H]."""
        return functional.pad(self.encoder_items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the decoder's rows with the bias as last dimension [N,D+1]."""
        return torch.cat((self.decoder_items.weight, self.item_bias[:, None]), dim=1)

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return what the decoder makes of the latent vector, and a 1 [B,D+1]."""
        code = self.bottleneck(self._encode(self.pooling(vectors, values, lengths) + self.bias))
        latent = self._latent(code, lengths) if self.variational else code.tanh()
        if self.decoder is not None:
            latent = self.decoder(latent).tanh()
        return functional.pad(latent, (0, 1), value=1.0)

    def penalty(self) -> Tensor | None:
        """Return beta KL of the newest training pass; nothing before one, and in Mult-DAE."""
        return self._penalty

    def __getstate__(self) -> dict[str, object]:
        # A copy of the network is no training pass, and torch copies no tensor that hangs on one.
        return {**self.__dict__, "_penalty": None}

    def _encode(self, x: Tensor) -> Tensor:
        if not self.blocks:
            return x.tanh()
        hidden: Tensor = self.norms[0](functional.silu(x))
        earlier = hidden
        for block, norm in zip(self.blocks, self.norms[1:], strict=True):
            hidden = norm(functional.silu(block(hidden) + earlier))
            earlier = earlier + hidden
        return hidden

    def _latent(self, code: Tensor, lengths: Tensor) -> Tensor:
        mean, log_variance = code.chunk(2, dim=-1)
        if not self.training:
            return mean
        self.passes += 1
        divergence = self._weight(lengths) * _divergence(mean.float(), log_variance.float())
        # The loss is a mean over events where the paper's is a sum over a user's.
        self._penalty = divergence.sum() / lengths.sum().clamp(min=1)
        return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()

    def _weight(self, lengths: Tensor) -> Tensor:
        """Return the weight of each user's divergence [B]."""
        beta = self.gamma * lengths if self.gamma else torch.full_like(lengths, self.beta, dtype=torch.float32)
        return beta * (self.passes / max(self.anneal_steps, 1)).clamp(max=1.0)


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence [B] of normal distributions [B,D] from the standard one."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=-1)
