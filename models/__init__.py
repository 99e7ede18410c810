"""The networks: torch only, one file for each model of the field. Adding one = its file, a line here, a TOML."""

from models.autoencoder import Autoencoder
from models.encoder import SequenceEncoder, UserEncoder
from models.folded_items import FoldedItems
from models.gru4rec import GRU4Rec
from models.item_facts import ItemFacts
from models.matrix_factorisation import MatrixFactorisation
from models.multvae import MultVAE
from models.ncf import NCF
from models.ranker import RankerNetwork
from models.rating_factorisation import RatingFactorisation
from models.recurrent_autoencoder import RecurrentAutoencoder
from models.sasrec import SASRec
from models.simplex import SimpleX
from models.target_attention import TargetAttention
from models.two_tower import TwoTower

__all__ = [
    "NCF",
    "RANKERS",
    "RETRIEVERS",
    "Autoencoder",
    "FoldedItems",
    "GRU4Rec",
    "ItemFacts",
    "MatrixFactorisation",
    "MultVAE",
    "RankerNetwork",
    "RatingFactorisation",
    "RecurrentAutoencoder",
    "SASRec",
    "SequenceEncoder",
    "SimpleX",
    "TargetAttention",
    "TwoTower",
    "UserEncoder",
]

RETRIEVERS: dict[str, type[UserEncoder]] = {
    "sasrec": SASRec,
    "gru4rec": GRU4Rec,
    "recurrent_autoencoder": RecurrentAutoencoder,
    "autoencoder": Autoencoder,
    "multvae": MultVAE,
    "matrix_factorisation": MatrixFactorisation,
    "two_tower": TwoTower,
    "simplex": SimpleX,
    "rating_factorisation": RatingFactorisation,
}
RANKERS: dict[str, type[RankerNetwork]] = {"ncf": NCF, "target_attention": TargetAttention}
