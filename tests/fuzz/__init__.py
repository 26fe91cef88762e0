"""Coverage-guided fuzzing of everything that reads bytes from outside.

    python -m tests.fuzz              the targets
    python -m tests.fuzz axdr --seconds 60

A finding is any exception but the protocol's own errors, a round trip that does not come back, a
run of more than a second of CPU time, or more memory than the input's size explains. targets/ is
the table of targets, bounds.py the bounds, corpus/ what reached something new, as lines of hex;
test_corpus.py replays the corpus in the normal tests.
"""
