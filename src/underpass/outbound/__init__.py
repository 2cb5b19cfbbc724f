"""The dials that reach the real world: direct, through an upstream proxy, guarded by a policy."""
