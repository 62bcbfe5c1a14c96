"""The data door: any dataframe becomes a checked table, once."""
