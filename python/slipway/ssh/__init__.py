"""Speaking SSH: hosts, their pinned keys, and many of them at once. No other room does."""
