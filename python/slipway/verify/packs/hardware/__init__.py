"""The pack `hardware`: the machine is the one that was ordered, and none of its parts is failing."""
