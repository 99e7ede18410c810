"""The recommender itself: no HTTP, no Redis, no torch. Training writes for it, the service serves from it."""
