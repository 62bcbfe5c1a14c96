"""Families: what the response is, given its parameters."""
