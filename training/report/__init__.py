"""The report of a training run: one page for people, its pictures, and the model card."""
