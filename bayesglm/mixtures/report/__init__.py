"""The report of a mixture: its components on one page."""
