"""Accelerated: the transported density in dense blocks, on JAX, for a graphics card or whatever device JAX has."""
