/** One line on the terminal that says what is going on; nothing at all in a pipe. */

export class Progress {
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #started = performance.now();

  /** Shows what is being done now. */
  show(text: string): void {
    if (!this.#terminal) return;
    const seconds = Math.round((performance.now() - this.#started) / 1000);
    const { columns } = Deno.consoleSize();
    this.#write(`\r\x1b[K${`${seconds} s  ${text}`.slice(0, columns - 1)}`);
  }

  /** Clears the line. */
  clear(): void {
    if (this.#terminal) this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}
