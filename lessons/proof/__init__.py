"""Proves lessons: that their commands end as they say, that their checks notice what is missing and what is wrong, that their solutions
pass, and that a student who follows the page to its end has finished.

    replay.py   without the page: each step's setup, wrong turns and solution, in a fresh sandbox
    reader.py   as a student: the page's own HTTP and WebSocket, every Run button
    prover.py   both for many lessons at once
    report.py   what was found, for people and as JSON

Must not know: how a check looks at a host.
"""
