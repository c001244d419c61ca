"""The inventory: what a user writes about the cluster, its machines and their deployment."""

from slipway.inventory.load import Inventory, load
from slipway.inventory.model import Host, Role
from slipway.inventory.problem import InvalidInventory, Problem

__all__ = ["Host", "InvalidInventory", "Inventory", "Problem", "Role", "load"]
