"""The only room with sockets: streams, listening, TLS, relaying, resolving, the clock."""
