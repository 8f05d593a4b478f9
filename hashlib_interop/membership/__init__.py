"""Hash sets: exact membership at the speed of memory. docs/membership.md explains the structure.

    hashset lookup building             what is used: `HashSet`, lines of a file to hits, lists to a set or a filter
    digest_* *_digests                  whatever digests come from: lists, catalogs, sets, arrays, text
    hset_*                              the file: its layout, writer, numpy reader, payload, set operations
    sorting* sorted_runs text_lines     sort and dedupe in memory and beyond; lines of hex
    fuse*                               the filter that may be shared
    _membership _sorting _fuse          the compiled twins, of ../core; where they are missing, numpy gives the same answers
"""
