/** Where answers and words go: answers to standard output, words to standard error. */

import { writeStderr } from "../control/logging.ts";

const encoder = new TextEncoder();

/** Writes an answer, whole. A reader that has gone (`| head`) is no failure. */
export function answer(text: string): void {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Writes one line of words. */
export function say(words: string): void {
  writeStderr(`${words}\n`);
}

/** Width of the terminal that answers go to; `Infinity` where they go elsewhere. */
export function answerColumns(): number {
  return Deno.stdout.isTerminal() ? terminalSize().columns : Infinity;
}

/** Size of the terminal, characters. */
export function terminalSize(): { readonly columns: number; readonly rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    // One that does not know says 0.
    return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
  } catch {
    return { columns: 80, rows: 24 };
  }
}
