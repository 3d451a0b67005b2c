/** Collects what was measured, and shows it: medians and ratios as a table, every value as JSON. */

/** Who was measured. A pair is named after the end that sends first. */
export const SUBJECTS = ["ours", "debian", "ours-debian", "debian-ours", "vxlan"] as const;
export type Subject = (typeof SUBJECTS)[number];

/** Those who have a table of their own. */
const OTHERS = ["ours-debian", "debian-ours", "vxlan"] as const;
const TITLES: Readonly<Record<typeof OTHERS[number], string>> = {
  "ours-debian": "ours → Debian",
  "debian-ours": "Debian → ours",
  "vxlan": "VXLAN",
};

/** One figure of the report. */
export interface Measure {
  readonly name: string;
  /** What it is, in words. */
  readonly title: string;
  readonly unit: string;
  /** Which way is better. */
  readonly better: "more" | "less";
  /** What ours is to reach: times Debian's, or a figure in the measure's unit. */
  readonly goal?: { readonly times: number } | { readonly figure: number };
}

/** The middle of several values; of an even number, the mean of the middle two. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value that a share (0 to 1) of all values does not exceed. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Below this, JavaScript writes exponents; nothing that small is measured here. */
const SMALLEST = 1e-6;

/** Three significant digits, without an exponent; nothing for what is no number. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "";
  if (Math.abs(value) >= 100) return Math.round(value).toString();
  return Math.abs(value) < SMALLEST ? "0" : String(Number(value.toPrecision(3)));
}

/** What a run of the benchmark found. */
export class Results {
  readonly #measures: ReadonlyMap<string, Measure>;
  readonly #values = new Map<string, Map<Subject, number[]>>();
  readonly #skipped: { readonly name: string; readonly why: string }[] = [];
  readonly #failed: { readonly name: string; readonly why: string }[] = [];

  constructor(measures: readonly Measure[]) {
    this.#measures = new Map(measures.map((measure) => [measure.name, measure]));
  }

  /** Takes one value. Values that are not numbers (a rate over no packets) are left out. */
  add(name: string, subject: Subject, value: number): void {
    if (!this.#measures.has(name)) throw new Error(`Cannot take a value of "${name}": no such measure`);
    if (!Number.isFinite(value)) return;
    const bySubject = this.#values.get(name) ?? new Map<Subject, number[]>();
    this.#values.set(name, bySubject);
    bySubject.set(subject, [...(bySubject.get(subject) ?? []), value]);
  }

  /** Notes what could not be measured here, once. */
  skip(name: string, why: string): void {
    if (!this.#skipped.some((skipped) => skipped.name === name)) this.#skipped.push({ name, why });
  }

  /** Notes what went wrong. */
  fail(name: string, why: string): void {
    this.#failed.push({ name, why });
  }

  get failures(): number {
    return this.#failed.length;
  }

  /** The median of a measure, NaN when there is none. */
  median(name: string, subject: Subject): number {
    return median(this.#values.get(name)?.get(subject) ?? []);
  }

  /** Ours by Debian's: the median of the ratios of each round, as what disturbs one of a round is likely to disturb both. */
  #ratio(name: string): number {
    const ours = this.#values.get(name)?.get("ours") ?? [], debian = this.#values.get(name)?.get("debian") ?? [];
    if (ours.length !== debian.length) return median(ours) / median(debian);
    return median(ours.map((value, i) => value / debian[i]).filter(Number.isFinite));
  }

  /** What is to be reached, and whether it is: `">= 10x  yes"`. */
  #goal(measure: Measure): string {
    if (measure.goal === undefined) return "";
    const sign = measure.better === "more" ? "≥" : "≤";
    const times = "times" in measure.goal;
    const bound = "times" in measure.goal ? measure.goal.times : measure.goal.figure;
    const value = times ? this.#ratio(measure.name) : this.median(measure.name, "ours");
    const met = measure.better === "more" ? value >= bound : value <= bound;
    return `${sign} ${bound}${times ? "×" : ""}${Number.isNaN(value) ? "" : met ? " met" : " missed"}`;
  }

  /** The measures that have values, in the order of the catalogue. */
  #measured(): Measure[] {
    return [...this.#measures.values()].filter((measure) => this.#values.has(measure.name));
  }

  /** The report in Markdown: ours beside Debian's, then what else there is beside Debian's, then what was skipped and what failed. */
  table(): string {
    const figures = (measure: Measure, subjects: readonly Subject[]): string[] =>
      subjects.map((subject) => figure(this.median(measure.name, subject)));
    const main = [["measure", "unit", "ours", "Debian", "ratio", "goal"]];
    const beside = [["measure", "unit", "Debian", ...OTHERS.map((subject) => TITLES[subject])]];
    for (const measure of this.#measured()) {
      const { name, title, unit } = measure;
      const ratio = this.#ratio(name);
      const values = figures(measure, ["ours", "debian"]);
      if (values.some((value) => value !== "")) {
        main.push([title, unit, ...values, Number.isFinite(ratio) ? `${figure(ratio)}×` : "", this.#goal(measure)]);
      }
      const others = figures(measure, ["debian", ...OTHERS]);
      if (others.slice(1).some((value) => value !== "")) beside.push([title, unit, ...others]);
    }
    const lines = [main, beside].filter((rows) => rows.length > 1).flatMap((rows) => [...layOut(rows), ""]);
    for (const { name, why } of this.#skipped) lines.push(`Skipped ${name}: ${why}`);
    for (const { name, why } of this.#failed) lines.push(`Failed ${name}: ${why}`);
    return lines.join("\n").trimEnd();
  }

  /** Everything, for programs. */
  json(about: Readonly<Record<string, unknown>>): string {
    const measures = this.#measured().map((measure) => ({
      ...measure,
      subjects: Object.fromEntries(
        [...(this.#values.get(measure.name) ?? [])].map((
          [subject, values],
        ) => [subject, { median: median(values), values }]),
      ),
      ratio: Number.isFinite(this.#ratio(measure.name)) ? this.#ratio(measure.name) : null,
    }));
    return JSON.stringify({ schema: 1, ...about, measures, skipped: this.#skipped, failed: this.#failed }, null, 2);
  }
}

/** A Markdown table whose columns stand below each other: the first two to the left, figures to the right. */
function layOut(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => i < 2 ? "-".repeat(width + 2) : "-".repeat(width + 1) + ":").join("|")}|`;
  return [line(rows[0]), rule, ...rows.slice(1).map(line)];
}
