"""Checks: whether a fit may be trusted, and where it fails to describe the data."""
