"""Seeds that found something, and what. A change to the simulation makes others of them."""

REGRESSIONS = {
    68: "a long OPEN stood first where a carrier never had room for it, and held up all others",
    80: "records that elicit nothing kept a session from closing, as nothing acknowledged them",
}
