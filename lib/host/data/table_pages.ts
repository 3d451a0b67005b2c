/**
 * Large pages for a large peer table, once it is so full that they cost no memory: then a look-up misses the cache once and the TLB never.
 * Until then, its records lie scattered, and a large page would be made real for a single one.
 */

import { HUGE_PAGE, HugePages } from "../../../ffi/huge_pages.ts";
import type { PeerTable } from "../../core/peers.ts";

/** From this part of the capacity on, nearly every small page of the table is in use anyway. */
const FILLED = 1 / 8;

/** What the kernel knows about the pages of one table. */
export class TablePages {
  readonly #table: PeerTable;
  readonly #pages: HugePages | undefined;
  #state: "sparse" | "collapsing" | "done" = "sparse";

  constructor(table: PeerTable) {
    this.#table = table;
    const large = table.memory.byteLength >= 2 * HUGE_PAGE;
    this.#pages = large ? new HugePages(table.memory) : undefined;
    if (this.#pages?.advise(false) !== true) this.#state = "done";
  }

  /** To be called now and then; does one large page at a time. */
  step(): void {
    if (this.#state === "done" || this.#pages === undefined) return;
    if (this.#state === "sparse") {
      if (this.#table.size < this.#table.capacity * FILLED) return;
      this.#state = this.#pages.advise(true) ? "collapsing" : "done";
    } else if (!this.#pages.collapseNext()) this.#state = "done";
  }
}
