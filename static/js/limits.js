// The page's part of netcontrol/agent/limits.py, which says what depends on what; a test holds the two together.
export const ACK_EVERY = 65536; // bytes drawn before the page says so
export const INPUT_PIECE = 16384; // characters of a paste in one message
export const MAX_UNDRAWN = 4194304; // bytes that a page which nobody sees keeps for later
export const SCROLLBACK = 10000; // lines
export const MAX_NAME = 24; // characters of a student's name for a terminal
