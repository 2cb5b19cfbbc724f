"""What runs on the side that others come to: users now; the tunnel's endpoint later."""
