/** Durations on the command line. */

import { type Message, message, value } from "@optique/core/message";
import type { ValueParser } from "@optique/core/valueparser";

/** Milliseconds of each unit. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** Reads `30s`, `500ms`, `2m` or `30` (seconds). @returns milliseconds, or undefined */
export function parseDuration(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)?$/.exec(text);
  return parts === null ? undefined : Number(parts[1]) * UNITS[parts[2] ?? "s"];
}

/** An option that takes a duration, milliseconds. */
export function durationValue(): ValueParser<"sync", number> {
  const wrong = (input: string): Message => message`${value(input)} is no duration, allowed: 500ms, 30s, 2m, 1h`;
  return {
    mode: "sync",
    metavar: "DURATION",
    placeholder: 0,
    parse(input) {
      const milliseconds = parseDuration(input);
      return milliseconds === undefined
        ? { success: false, error: wrong(input) }
        : { success: true, value: milliseconds };
    },
    format: (milliseconds) => `${milliseconds / 1000}s`,
  };
}
