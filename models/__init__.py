"""The networks: torch only, one file for each model of the field."""
