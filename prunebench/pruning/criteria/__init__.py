"""Criteria: give every prunable unit a score; a higher score is kept.

A criterion is called with a View of the network and returns scores by the names of weights, of
their shape, or [out] for filters; or GroupScores, Compensated or Swept scores. It raises Refused
where the network has none of what it looks at. A file for each criterion or family of criteria.
"""
