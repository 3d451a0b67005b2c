/** Server addresses that mean something to the scripted data isolate. */

export const THROW = 1;
export const SAY_FAILED = 2;
export const HANG = 3;
/** Open a descriptor and keep it as an extra socket. */
export const KEEP = 4;
