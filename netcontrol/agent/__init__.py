"""The program inside a student's host: PTYs, their output by offset, the commands that ran in them.

Standard library only, and as little of it as possible: its memory is the student's. Must not know: Django, Redis, the
page, who the student is. Started by systemd with the first connection (`python3 -IS …/agent/__main__.py`).
"""
