"""The pack `burnin`: the machine bears load, as long as `slipway verify --burn-in` says."""
