"""Checks of a mixture: whether its components may be trusted, and where they fail to describe the data."""
