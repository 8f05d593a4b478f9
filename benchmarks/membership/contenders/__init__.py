"""One class a contender, each imported in its own process, some of them in a virtual environment of their own."""
