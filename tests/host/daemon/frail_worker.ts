/**
 * The real data isolate, except that reading the clock fails once the order file says something else than it did at the start, and never
 * returns when it says "hang".
 */

import "../../../lib/host/threads/data_worker.ts";

const order = new URL(import.meta.url).searchParams.get("order") ?? "";
const atStart = Deno.readTextFileSync(order);
const clock = performance.now.bind(performance);

performance.now = (): number => {
  const now = Deno.readTextFileSync(order);
  while (now === "hang");
  if (now !== atStart) throw new Error("Cannot go on: told to die");
  return clock();
};
