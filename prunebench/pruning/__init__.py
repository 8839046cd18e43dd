"""Pruning methods and their parts: criteria, patterns, allocations, schedules, recoveries."""
