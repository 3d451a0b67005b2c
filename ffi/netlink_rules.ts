/** Rules of policy routing: packets from a source prefix look into a table of their own (`ip rule`). */

import {
  fib_rule_hdr,
  FR_ACT_TO_TBL,
  FRA_PRIORITY,
  FRA_SRC,
  FRA_TABLE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from "./abi/netlink.ts";
import { AF_INET, AF_INET6 } from "./abi/socket.ts";
import { NetlinkRequest } from "./netlink_message.ts";
import type { NetlinkSocket } from "./netlink_socket.ts";

/** A rule. */
export interface Rule {
  /** Source prefix, 4 or 16 octets. */
  readonly source: Uint8Array;
  readonly prefixLength: number;
  /** Routing table looked into. */
  readonly table: number;
  /** Rules are tried from the lowest priority up; the main table stands at 32766. */
  readonly priority: number;
}

/** The request that adds or removes a rule. */
export function ruleRequest(rule: Rule, add: boolean): NetlinkRequest {
  const request = new NetlinkRequest(
    add ? RTM_NEWRULE : RTM_DELRULE,
    add ? NLM_F_CREATE | NLM_F_EXCL : 0,
    fib_rule_hdr.size,
  )
    .header8(fib_rule_hdr.family, rule.source.length === 4 ? AF_INET : AF_INET6)
    .header8(fib_rule_hdr.src_len, rule.prefixLength)
    .header8(fib_rule_hdr.action, FR_ACT_TO_TBL)
    .attribute32(FRA_PRIORITY, rule.priority)
    .attribute32(FRA_TABLE, rule.table);
  return rule.prefixLength === 0 ? request : request.attribute(FRA_SRC, rule.source);
}

/** All rules that lead to a table, those of every packet (prefix length 0) included. @throws SystemError */
export function listRules(socket: NetlinkSocket): readonly Rule[] {
  return [AF_INET, AF_INET6].flatMap((family) => {
    const request = new NetlinkRequest(RTM_GETRULE, 0, fib_rule_hdr.size).header8(fib_rule_hdr.family, family);
    return socket.dump(request, "list rules")
      .filter((message) => message.header8(fib_rule_hdr.action) === FR_ACT_TO_TBL)
      .map((message): Rule => {
        const attributes = message.attributes(fib_rule_hdr.size);
        return {
          source: attributes.bytes(FRA_SRC) ?? new Uint8Array(family === AF_INET ? 4 : 16),
          prefixLength: message.header8(fib_rule_hdr.src_len),
          table: attributes.u32(FRA_TABLE) ?? message.header8(fib_rule_hdr.table),
          priority: attributes.u32(FRA_PRIORITY) ?? 0,
        };
      });
  });
}
