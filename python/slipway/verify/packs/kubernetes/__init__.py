"""The pack `kubernetes`: the node is the member of Kubernetes that the inventory says."""
