"""The embedded world: four small tasks in two languages, and the corpus the base model read.

Problems are generated, never stored. Which split a problem belongs to follows from a hash of its
canonical form, so splits cannot overlap and the corpus can refuse what it must not contain.
"""
