"""Probes: measures that need the stored network itself. The file is the registration.

A probe is a function of a Subject that returns its columns. What its decorator says of them, and
``columns``, their formulas, is read from the source without running it; see components.
"""
