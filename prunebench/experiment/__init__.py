"""An experiment before it runs: settings, registry of parts, plan and identities. Never torch."""
