"""The wheels of a backend: those of its lock, and those that are built from its source archives.

There is no wheel of some projects for a platform; what an installer does then (compile on the
machine that it runs on, with what is there) is done here once, hermetically, and audited.
"""
