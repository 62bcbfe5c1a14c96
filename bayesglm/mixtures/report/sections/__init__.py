"""Sections of a mixture's report, one file each."""
