/** Numbers as people read them. */

const SECOND = 1;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `3 s`, `4 min 12 s`, `2 h 5 min`, `6 d 3 h`: the two largest units. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / DAY), "d"],
    [Math.floor(whole % DAY / HOUR), "h"],
    [Math.floor(whole % HOUR / MINUTE), "min"],
    [whole % MINUTE, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(
    " ",
  );
}

/** Three significant digits and a prefix: `0`, `12`, `1.23 k`, `45.6 M`; `unit` follows. */
export function scaled(value: number, unit: string): string {
  const steps = ["", "k", "M", "G", "T"] as const;
  let step = 0;
  let rest = value;
  while (rest >= 999.5 && step < steps.length - 1) {
    rest /= 1000;
    step++;
  }
  const digits = step === 0 && Number.isInteger(rest) ? 0 : rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${rest.toFixed(digits)} ${steps[step]}${unit}`.trimEnd();
}

/** Digits in groups of three. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** Milliseconds: `0.42 ms`, `24.1 ms`, `1.30 s`. */
export function milliseconds(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ms`;
}

const BARS = "▁▂▃▄▅▆▇█";

/** The last `width` values as bars from 0 to the largest of them. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const largest = Math.max(...shown, 0);
  const bar = (value: number): string => {
    if (value <= 0 || largest <= 0) return BARS[0];
    return BARS[Math.min(BARS.length - 1, Math.ceil(value / largest * (BARS.length - 1)))];
  };
  return shown.map(bar).join("").padStart(width, " ");
}

// deno-lint-ignore no-control-regex
const SGR_SEQUENCE = /\x1b\[[0-9;]*m/g;

/** Characters that a line takes in a terminal: colours take none. */
export function shownLength(line: string): number {
  return [...line.replace(SGR_SEQUENCE, "")].length;
}

/**
 * A line in pieces that fit a terminal, broken where there are several words.
 * @param columns width of the terminal
 * @param indent how far what does not fit the first piece stands in
 */
export function folded(line: string, columns: number, indent: number): string[] {
  if (shownLength(line) <= columns || columns <= 2 * indent) return [line];
  const pieces: string[] = [];
  let piece = "";
  // Runs of spaces stay with the word before them: they keep columns in line.
  for (const word of line.match(/\S*\s*/g) ?? []) {
    const length = shownLength(word.trimEnd());
    const broken = shownLength(piece) + length > columns && (pieces.length > 0 || shownLength(piece) > indent);
    // A word that fits no piece is no reason for another one.
    if (broken && length > 0 && piece.trim() !== "" && length <= columns - indent) {
      pieces.push(piece.trimEnd());
      piece = " ".repeat(indent);
    }
    piece += word;
  }
  return [...pieces, piece.trimEnd()];
}
