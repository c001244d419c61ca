"""The pack `network`: the machine is where the inventory says, and reaches and shows only what its role needs."""
