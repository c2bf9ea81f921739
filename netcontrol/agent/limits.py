"""How much may be said, may wait and is kept, at every place between a program in a host and a student's page. In one file, because these depend
on one another: `netcontrol/tests/test_limits.py` says how, and holds the page (static/js) and docs/protocol.md, section 5, to it.

Bytes, unless a name says otherwise. The agent has this file too, so it imports nothing.
"""
KIB, MIB = 1024, 1024 * 1024

# Said in one piece
MAX_FRAME = MIB  # agent and worker
MAX_CHUNK = 64 * KIB  # of output
MAX_TEXT = 64 * KIB  # of input, or of a command line
MAX_BLOCK = 64  # characters: the page's name for a Run block
MAX_NAME = 24  # characters: a student's name for a terminal
MAX_SINCE = 64  # shells that a page says it has
MAX_OFFSET = 2**53  # what a page's numbers hold: nobody prints so much

# In a host: each shell
RING = MIB  # of output kept
WINDOW = 256 * KIB  # of output that the slowest page may be behind; then the program waits
MAX_INPUT = 256 * KIB  # of input that a program does not read; then keys are refused
MAX_EVENTS = 256  # events kept for a worker that comes back
MAX_MARK = 256 * KIB  # of what may be a mark: a command line of MAX_TEXT, each byte escaped
READ_TERMINAL = 64 * KIB  # at once, before others have their turn

# In a host: the agent
MAX_SHELLS = 8
MAX_UNSENT = 256 * KIB  # that the worker does not take; then output stays in the rings
MAX_CONNECTIONS = 8
MAX_EXECUTIONS = 8  # at once
MAX_EXECUTED = 256 * KIB  # kept of each of an execution's two streams
READ_SOCKET = 16 * KIB  # at once: a buffer that malloc need not ask the kernel for

# In the worker: each sandbox
READ_AGENT = 256 * KIB  # at once, and what may wait to be written to an agent
MAX_PENDING = 2 * MIB  # output and events that Redis has not taken; then the agents are not read
EVENT_COST = 2048  # what an entry counts there, besides its data: so many in one step would keep everybody waiting
MAX_HELD = 256  # messages for a host that does not answer; then they are refused
MAX_PLACES = 32  # names of shells, closed ones included
MAX_WAITING = 5000  # changes that the database has not taken; then rows are lost
MAX_OUTPUT_WAITING = 8 * MIB  # output in them; then rows are without

# In Redis: each shell's log, each sandbox's input
LOG_BYTES = MIB  # kept at least; at most twice that
ENTRY_COST = 64  # what an entry counts there, besides its data
MAX_INPUTS = 512  # messages; then they are refused
TRIM_INPUTS = 64  # messages that were taken, before they are cut off

# In the web: each page
MAX_HEARD = 2000  # events of commands that are remembered as told
TOLD_COMMANDS = 200  # that ran before the page came
MAX_BAD = 8  # messages that break the protocol before the connection is closed

# In the database: each sandbox
MAX_COMMANDS = 10_000  # rows
MAX_COMMAND = 4096  # characters of one
HEAD = TAIL = 16 * KIB  # kept of the beginning and the end of what a command printed
MAX_OUTPUT = 16 * MIB  # of all outputs; then rows are kept without

# In the page (static/js/limits.js says the same): each terminal
ACK_EVERY = 64 * KIB  # drawn before the page says so
INPUT_PIECE = 16 * KIB  # characters of a paste in one message
MAX_UNDRAWN = 4 * MIB  # that a page which nobody sees keeps for later
SCROLLBACK = 10_000  # lines
