/**
 * What is fuzzed, and how a fault is found again.
 *
 * A target plays episodes. An episode draws everything it does (options, packets, times) from one seed, so that the seed of a fault is all
 * that is needed to see it again: `deno task fuzz -- client --seed 123 --inputs 1`.
 */

/** Inputs of one episode. */
export const EPISODE_INPUTS = 1_000;

/** Something that takes inputs. */
export interface Target {
  readonly name: string;
  /** What it is given, for the reader of a report. */
  readonly about: string;
  /** How much slower an input is than a datagram: so many fewer of them are played in the test. */
  readonly weight: number;
  /**
   * Plays one episode of `inputs` inputs.
   * @throws Error on a fault, whatever the words
   */
  episode(seed: number, inputs: number): void;
}

/** A fault, with all that is needed to play it again. */
export class Fault extends Error {
  constructor(target: Target, seed: number, cause: unknown) {
    const what = cause instanceof Error ? cause.stack ?? cause.message : String(cause);
    super(`Cannot pass ${target.name}, seed ${seed} (deno task fuzz -- ${target.name} --seed ${seed}): ${what}`);
  }
}

/**
 * Plays episodes from seed `first` on until `inputs` inputs were given.
 * @param progress called after each episode with the inputs given so far
 * @throws Fault
 */
export function play(target: Target, first: number, inputs: number, progress: (done: number) => void = () => {}): void {
  for (let done = 0, seed = first; done < inputs; seed++) {
    const count = Math.min(EPISODE_INPUTS, inputs - done);
    try {
      target.episode(seed, count);
    } catch (cause) {
      throw new Fault(target, seed, cause);
    }
    done += count;
    progress(done);
  }
}
