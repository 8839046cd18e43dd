"""Methods and their parts: criteria, patterns, allocations, schedules, recoveries."""
