"""What a machine is made of: asked, read, and proposed as an entry of the inventory."""
