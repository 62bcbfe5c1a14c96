"""Engines: how a posterior is drawn."""
