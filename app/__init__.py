"""Online: FastAPI, Redis, settings and metrics around an engine."""
