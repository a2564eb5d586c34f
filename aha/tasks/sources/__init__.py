"""Tasks from anywhere: data files, the hub, reasoning-gym and Python files, by one reference.

    rows.jsonl  rows.json  rows.parquet       rows with questions and answers (or tests)
    rows.toml                                 names such a source and its columns
    task.py                                   problems and a score of its own
    hub:owner/name:config@split               a data set of the hub (extra `hub`)
    gym:chain_sum?seed=0&size=2000            a generator of reasoning-gym (extra `gym`)

Each takes options: `?question=FIELD&answer=FIELD&verifier=math&min_pass_rate=0.1&curriculum=5`.
"""
