"""The networks: torch only, one file for each model of the field. Adding one = its file, a line here, a TOML."""

from models.encoder import UserEncoder
from models.ncf import NCF
from models.sasrec import SASRec

__all__ = ["NCF", "RANKERS", "RETRIEVERS", "SASRec", "UserEncoder"]

RETRIEVERS: dict[str, type[UserEncoder]] = {"sasrec": SASRec}
RANKERS: dict[str, type[NCF]] = {"ncf": NCF}
