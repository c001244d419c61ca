"""One machine: what it runs, what would change, and how a new system becomes its own."""
