"""The programs measured beside underpass: how each is found, installed, configured and started.

- `versions`: which version of a program is here; `present`: which programs are
- `install`: what `make peers` fetches and builds
- `proxies`: the proxies of scenario 1
- `tunnel_program`, `launch`, `certificate`: what the adapters of tunnels are made of
- `tunnels`: all tunnels; each has a small module of its own
"""
