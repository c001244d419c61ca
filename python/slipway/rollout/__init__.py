"""The whole fleet: what would change, and the way from built systems to Ready nodes."""
