/** How the program ends. */
export const ExitCode = {
  ok: 0,
  /** It could not be done, or the answer is no. */
  failure: 1,
  /** The command line is not understood. */
  usage: 2,
  /** No daemon runs, or it does not give service yet. */
  notRunning: 3,
  /** The configuration is not usable (EX_CONFIG of sysexits.h). */
  config: 78,
} as const;
