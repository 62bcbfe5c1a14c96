"""Components of a mixture, one file each."""
