// What ran and what runs, by shell and by block, from the server's messages. Must not know the page.
const stoppedBefore = () => { try { return JSON.parse(localStorage.getItem("stopped")) ?? []; } catch { return []; } };

export class Commands {
  constructor() { this.forget(); this.skew = 0; }

  forget() {
    this.running = new Map(); // shell → command
    this.byBlock = new Map(); // block → its newest command
    this.lastOf = new Map(); // shell → its newest command
    this.last = null;
    this.all = new Map(); // id → command, oldest first
  }

  /** The list after `hello`, oldest first. It replaces what was known. */
  load(list) {
    this.forget();
    const before = stoppedBefore();
    for (const command of [...list].sort((a, b) => a.started_at < b.started_at ? -1 : 1)) this.#take({ ...command, began: Date.parse(command.started_at) + this.skew, stopped: before.includes(command.id) });
  }

  started(message) { return this.#take({ ...message, exit_code: null, duration_ms: null, began: Date.now() }); }

  finished({ id, shell, block, exit_code, duration_ms }) {
    const running = this.running.get(shell);
    const known = running?.id === id ? running : this.lastOf.get(shell)?.id === id ? this.lastOf.get(shell) : null;
    if (running?.id === id) this.running.delete(shell);
    const command = Object.assign(known ?? { id, shell, block, text: "", began: Date.now() - (duration_ms ?? 0) }, { exit_code, duration_ms, over: true });
    if (!known) this.#take(command);
    return command;
  }

  /** Somebody pressed Ctrl-C in a shell, or Stop: however its command ends now, it was stopped. Kept, because nothing else will know after a reload. */
  interrupted(shell) {
    const command = this.running.get(shell);
    if (!command || command.stopped) return;
    command.stopped = true;
    try { localStorage.setItem("stopped", JSON.stringify([...stoppedBefore(), command.id].slice(-100))); } catch { /* private window */ }
  }

  /** The shell's bash ended. `asked`: somebody closed the terminal, and with it what ran there. `past`: it was opened anew since. */
  closed(shell, asked, past) {
    if (!past) this.running.delete(shell);
    if (asked) for (const command of this.of(shell)) if (command.over && command.exit_code === null) command.closed = true;
  }

  /** What ran in a shell, oldest first. */
  of(shell) { return [...this.all.values()].filter((command) => command.shell === shell); }

  /** The lab is gone: what ran there has no outcome. */
  abandon() {
    for (const command of this.running.values()) Object.assign(command, { over: true, exit_code: null, lost: true });
    const any = this.running.size > 0;
    this.running.clear();
    return any;
  }

  #take(command) {
    command.stopped ??= stoppedBefore().includes(command.id);
    command.over ??= command.duration_ms !== null && command.duration_ms !== undefined;
    if (command.over) { if (this.running.get(command.shell)?.id === command.id) this.running.delete(command.shell); }
    else this.running.set(command.shell, command);
    if (command.over && this.running.get(command.shell)?.began < command.began) this.running.delete(command.shell); // a later one ended: the earlier did too
    if (command.block) this.byBlock.set(command.block, command);
    this.lastOf.set(command.shell, command);
    this.last = command;
    this.all.set(command.id, command);
    return command;
  }
}
