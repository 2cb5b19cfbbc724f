"""A tunnel: two ends joined by a session, over carriers that come and go.

- `tunnel`: `Tunnel`, which drives a session: streams for applications, feeds for carriers
- `tunnel_stream`: a stream of it as a `Stream`
- `feed`: what one carrier takes from and hands to
- `offer`: a stream that the other end asks for
- `keeper`: the client's: carriers chosen, raced, replaced, resumed
"""
