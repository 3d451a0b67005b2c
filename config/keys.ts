/**
 * The kinds of keys a configuration is made of: whole numbers, texts, choices. Each builds a valibot schema that carries {@link Notes},
 * from which the sample files and error messages are written.
 */

import * as v from "valibot";

/** What people should know of a key. */
export interface Notes {
  /** What the key does; whole sentences. */
  readonly description: string;
  /** What it may be, in words that follow "allowed:". */
  readonly allowed: string;
  /** A value for the sample file, where the key has no default. */
  readonly example?: string | readonly string[];
  /** The key must be given, here or on the command line. */
  readonly required?: boolean;
  /** The value must not be printed. */
  readonly hidden?: boolean;
}

/** The schema of one value. */
export type Key<T> = v.GenericSchema<T>;

/** Problem words about a value, or `undefined`; see addresses.ts. */
export type Problem<T> = (value: T) => string | undefined;

/** A whole number from `minimum` to `maximum`, of some unit; `problem` is asked about those in range. */
export function integer(
  minimum: number,
  maximum: number,
  unit: string,
  description: string,
  problem: Problem<number> = () => undefined,
): Key<number> {
  const allowed = `${minimum} to ${maximum}${unit === "" ? "" : ` ${unit}`}`;
  return v.pipe(
    v.number(),
    v.rawCheck<number>(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const words = dataset.value < minimum
        ? "is too small"
        : dataset.value > maximum
        ? "is too large"
        : problem(dataset.value);
      if (words !== undefined) addIssue({ message: words });
    }),
    v.metadata({ description, allowed } satisfies Notes),
  );
}

/** A text that `problem` has nothing against. */
export function text(problem: Problem<string>, notes: Notes): Key<string> {
  return v.pipe(
    v.string(),
    v.rawCheck<string>(({ dataset, addIssue }) => {
      const words = dataset.typed ? problem(dataset.value) : undefined;
      if (words !== undefined) addIssue({ message: words });
    }),
    v.metadata({ ...notes }),
  );
}

/** A switch. */
export function bool(description: string): Key<boolean> {
  return v.pipe(v.boolean(), v.metadata({ description, allowed: "true or false" } satisfies Notes));
}

/** One of some words. */
export function choice<const T extends readonly string[]>(choices: T, description: string): Key<T[number]> {
  const allowed = choices.map((one) => `"${one}"`).join(", ");
  return v.pipe(v.picklist(choices), v.metadata({ description, allowed } satisfies Notes));
}

const octets = new TextEncoder();

/** Problem with a text that must have 1 to `maximum` octets in UTF-8. */
export function lengthProblem(maximum: number): Problem<string> {
  return (value) => {
    const length = octets.encode(value).length;
    if (length === 0) return "is empty";
    return length > maximum ? `has ${length} octets` : undefined;
  };
}
