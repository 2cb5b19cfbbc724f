"""The inside end: a tunnel that is kept up, and the front ends over it.

- `profile`: what a client knows of its server and of itself, in a file
- `makers`: the kinds of carriers over the ways there are
- `network`: what worked in which network
- `tunnel`: `ClientTunnel`, the tunnel to a profile's server
- `front_ends`: listeners whose clients go through it
- `control`: the socket at which a running client says how it is
- `library`: `connect`, for programs
"""
