"""Faults: what a student sees within five seconds of each, and what comes back by itself. After each of them a second student's shell goes on
(conftest.py), and after all of them the machine holds nothing that the database does not know (tests/conftest.py).

    worker killed in the middle of output, of a boot; stopped   test_processes.py; at random and often: ../test_exactly_once.py
    beat, Redis, web, engine killed or away; everything killed  test_processes.py; the check worker: ../test_checking.py
    engine's disk full; students' images missing                test_machine.py
    clock set                                                   test_machine.py; netcontrol/tests/test_clock.py
    database locked, read-only                                  test_database.py
    agent killed, stopped for good; dockerd stopped, spoiled    test_hosts.py; an agent that lies: ../test_hostile.py
    `reboot`, `poweroff` inside                                 test_hosts.py
    set-up that cannot be, or was killed half-way               test_setup.py
    row without a host, host without a row                      ../test_life.py
"""
