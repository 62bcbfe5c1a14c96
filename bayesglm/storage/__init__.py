"""Storage: a fit in one file, without code and, unless asked, without the data.

The file is a zip archive that is only ever read as data: ``manifest.json`` says what the fit is (`bayesglm.storage.saving` lists
its keys), ``draws.nc`` holds the arrays as netCDF, and the last bytes are the SHA-256 of everything before them.
"""

from bayesglm.storage.saving import load, read_manifest, save

__all__ = ["load", "read_manifest", "save"]
