/** What goes on while something takes long: one line on standard error, on a terminal only, gone in the end. */

const encoder = new TextEncoder();

/** To the first column, and nothing behind it. */
const CLEAR = "\r\x1b[K";

/** One line that changes. */
export class Progress implements Disposable {
  readonly #live = Deno.stderr.isTerminal();
  #shown = "";

  show(words: string): void {
    if (!this.#live || words === this.#shown) return;
    this.#shown = words;
    Deno.stderr.writeSync(encoder.encode(`${CLEAR}${words} ...`));
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    Deno.stderr.writeSync(encoder.encode(CLEAR));
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
