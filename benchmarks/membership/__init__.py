"""Looking digests up, side by side with everything else that can: one process a contender, the same made-up data.

benchmarks/README.md says how to run it and how to read it.
"""
