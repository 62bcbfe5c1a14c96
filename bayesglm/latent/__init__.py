"""Latent: the likelihood on cells, and what the structured engines make of it."""
