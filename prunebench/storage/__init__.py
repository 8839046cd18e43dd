"""Files of an experiment: layout, records, manifest, lock, provenance. Never torch at import."""
