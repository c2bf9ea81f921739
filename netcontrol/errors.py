"""The one exception that reaches people. Must not know who shows it."""


class LabError(Exception):
    """What happened, and what to do, in two sentences. Caught once: in the middleware, the consumer, the command.

    `code` is stable and for programs (`no_sandbox`); `status` is the HTTP status of the page that says it.
    """

    def __init__(self, code: str, message: str, what_to_do: str, status: int = 503):
        super().__init__(f"{message} {what_to_do}")
        self.code, self.message, self.what_to_do, self.status = code, message, what_to_do, status

    def as_event(self) -> dict[str, str]:
        return {"type": "error", "code": self.code, "message": self.message, "what_to_do": self.what_to_do}
