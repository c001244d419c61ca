"""The pack `security`: nothing can be reached that nobody asked for, and keys are kept from others."""
