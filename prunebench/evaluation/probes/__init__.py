"""Probes: measures that need the stored network itself. The file is the registration.

A probe is a function of a Subject that returns its columns. Its decorator's traits, and the
formulas in ``columns``, are read from the source without running it; see experiment/registry.
"""
