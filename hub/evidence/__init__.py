"""What the hub can prove to others: sealed events, stamped heads, bundles that verify without a hub."""
