"""Front ends take in local traffic and call a dial; none of them knows what is behind it."""
