"""Test-time compute: accuracy against the tokens that are spent on a problem, by many strategies.

A strategy is a function of a `Sampler`, a chunk of problems and one number (tokens, samples, ...);
it returns what each problem cost and how right it was. `run.scale` measures a list of them.
"""
