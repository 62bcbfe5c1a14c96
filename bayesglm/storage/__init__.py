"""Storage: a fit in one file, without code and, unless asked, without the data.

The file is a zip archive that is only ever read as data: ``manifest.json`` says what the fit is, with the keys listed
in `bayesglm.storage.saving`, ``draws.nc`` holds the arrays as netCDF, and the end is the SHA-256 of everything before
it.
"""

from bayesglm.storage.saving import load, read_manifest, save

__all__ = ["load", "read_manifest", "save"]
