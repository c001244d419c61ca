"""`python -m slipway.cli`, for where the console script is not on PATH."""

from slipway.cli.start import main

main()
