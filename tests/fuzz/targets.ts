/** All that is fuzzed. */

import { MACHINES } from "./machines.ts";
import { PARSERS } from "./parsers.ts";
import type { Target } from "./target.ts";

/** Targets by name. */
export const TARGETS: readonly Target[] = [...MACHINES, ...PARSERS];
