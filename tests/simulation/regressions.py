"""Seeds that found something, and what. A change to the simulation makes others of them."""

REGRESSIONS = {
    3849: "a CLOSE on a carrier that had died unnoticed left the other end to its grace time",
    4839: "with pings always on their way, the end that was to close never found all acknowledged",
}
