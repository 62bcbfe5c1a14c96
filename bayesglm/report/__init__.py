"""The report: one self-contained HTML page for other people."""
