"""The pack `k0s`: the machine is the member of the cluster that the inventory says."""
