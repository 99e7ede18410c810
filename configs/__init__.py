"""How each network is trained, as TOML; one file for each model."""
