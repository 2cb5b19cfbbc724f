"""underpass carries any application's traffic over HTTP, through networks that let little else out."""
