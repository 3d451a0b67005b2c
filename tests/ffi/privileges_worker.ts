/** A thread more for privileges_child.ts: one that has called the C library. */

import { lookupUser } from "../../ffi/users.ts";

self.postMessage(lookupUser("root"));
