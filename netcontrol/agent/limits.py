"""How much may be said, may wait and is kept, at every place between a program in a host and a student's page. In one file, because these depend
on one another: `netcontrol/tests/test_limits.py` says how, and holds the page (static/js) and docs/protocol.md, section 5, to it.

Bytes, unless a name says otherwise. The agent has this file too, so it imports nothing.
"""
KIB, MIB = 1024, 1024 * 1024

# Said in one piece
MAX_FRAME = MIB  # agent and worker
MAX_CHUNK = 64 * KIB  # of output
MAX_SNAPSHOT = 512 * KIB  # of what an observer saw of a host's network
MAX_HEAD = 16 * KIB  # of what stands before it
MAX_TEXT = 64 * KIB  # of input, or of a command line
MAX_MESSAGE = 8 * MAX_TEXT  # characters: page and web
MAX_BODY = 64 * KIB  # of a request
MAX_BLOCK = 64  # characters: the page's name for a Run block
MAX_NAME = 24  # characters: a student's name for a terminal
MAX_SINCE = 64  # shells that a page says it has
MAX_ASKED = 8  # things that a page asks about at once, who reaches whom
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
MAX_LOOKED_AT = 200 * KIB  # of what dockerd or a program of a host says to one question (places.py)
READ_SOCKET = 16 * KIB  # at once: a buffer that malloc need not ask the kernel for

# In a host: the observer. What is more is counted, and left out
MAX_SPACES = 96  # network namespaces
MAX_PIECES = 192  # links, and routes, in each
MAX_CONTAINERS = 96  # of Docker, and of podman
MAX_NETWORKS = 64
MAX_LISTENERS = 128  # in each
ROOM_LINKS = 96 * KIB  # of JSON: those of one namespace
ROOM_ROUTES = 32 * KIB
ROOM_RULES = 40 * KIB  # of iptables, of ip6tables, and of nft
ROOM_CONTAINERS = 96 * KIB  # podman's have half of it
ROOM_NETWORKS = 32 * KIB
MAX_SAID = 2 * MIB  # by one program, or by Docker
MAX_FILE = 64 * KIB  # of podman about one network

# In the worker: each host
FRAMES_A_SECOND = 1000  # of its agent, in the long run; then it is not read for a moment
FRAMES_AT_ONCE = 10_000
EVENT_FRAMES = 10  # that an event counts as: every page of the sandbox hears of it
BESIDE_A_SECOND = 128 * KIB  # of output, while other students type: nobody reads so fast
BESIDE_AT_ONCE = 256 * KIB
DIAL_FRAMES = 50  # that a new connection counts as

# In the worker: each sandbox
COMMANDS_A_MINUTE = 300  # that are recorded, in the long run; the others run, and have no row
COMMANDS_AT_ONCE = 1000
READ_AGENT = 256 * KIB  # at once, and what may wait to be written to an agent
MAX_PENDING = 2 * MIB  # output and events that Redis has not taken; then the agents are not read
EVENT_COST = 2048  # what an entry counts there, besides its data: so many in one step would keep everybody waiting
MAX_HELD = 256  # messages for a host that does not answer; then they are refused
MAX_PLACES = 32  # names of shells, closed ones included
MAX_WAITING = 5000  # changes that the database has not taken; then rows are lost
MAX_OUTPUT_WAITING = 8 * MIB  # output in them; then rows are without

MAX_UNSEEN = 64  # snapshots of a host that newer ones replaced; then its agent is not read
MAX_GRAPH = MIB  # of JSON; a network that is larger is not shown
MAX_ARTIST = 512 * MIB  # of memory, for the process that makes graphs
MAX_ANSWER = 256 * KIB  # of JSON, to a question about the network

# In Redis: each sandbox's network
MAX_CHANGES = 50  # for pages to follow; who is further behind is told the whole
MAX_CHANGE = 64 * KIB  # of JSON; instead of a larger one, the whole is told
MAX_PAST = 50  # that are told in words

# In Redis: each shell's log, each sandbox's input
LOG_BYTES = MIB  # kept at least; at most twice that
ENTRY_COST = 64  # what an entry counts there, besides its data
MAX_INPUTS = 512  # messages; then they are refused
TRIM_INPUTS = 64  # messages that were taken, before they are cut off

# In the web: each student, and each page
MAX_HEARD = 2000  # events of commands that are remembered as told
TOLD_COMMANDS = 200  # that ran before the page came
MAX_BAD = 8  # messages that break the protocol before the connection is closed
MAX_PAGES = 16  # of one student, in one web process
MESSAGES_A_SECOND = 300  # of all these, in the long run; then they are not read for a moment
MESSAGES_AT_ONCE = 3000
MAX_QUESTIONS = 16  # about the network, within 5 s and none of them well answered; further ones are not put to the worker

# In the web: all pages of a sandbox
TOLD_A_SECOND = 4 * MIB  # of its network, in the long run; saying and packing it takes the time of others' keys
TOLD_AT_ONCE = 16 * MIB
WHOLE_COST = 64 * KIB  # what a whole one counts, besides its size: reading it

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
