"""Carriers move a session's records over HTTP exchanges; each kind is a module of its own.

`base` has the interfaces: what a carrier is to a tunnel, and what a tunnel is to a carrier.
"""
