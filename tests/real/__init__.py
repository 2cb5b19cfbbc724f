"""Real clients, real origins and the real process."""
