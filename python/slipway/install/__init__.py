"""An installer becomes a node: what it runs, what its disks hold, the steps from there to the first boot."""
