/**
 * Where the RFCs are silent, at odds with each other or with what works, and we decided: what the text says, what we do, why, and the rules
 * of tests/checklist.ts whose tests hold the decision. `deno task docs` writes them into docs/conformance.md.
 *
 * ```
 *   rules | the text | we | why
 * ```
 */

import { CHECKLIST } from "./checklist.ts";

/** One decision of ours. */
export interface Difference {
  /** Ids of rules, at least one. */
  readonly rules: readonly string[];
  /** What the RFCs say, or that they say nothing. */
  readonly text: string;
  /** What this program does. */
  readonly ours: string;
  readonly why: string;
}

const ROWS = `
QUA-02 QUA-16 ADR-11 | RFC 4380 begins with a cone phase; RFC 5991 says it should be left out | no cone phase, unless client.legacy_cone asks for it | the cone bit tells strangers what kind of NAT a host has, and saves two packets at most
XMT-06 XMT-07 RLY-04 RLY-05 | RFC 4380 sends to a cone peer without asking; RFC 5991 says the bit should be ignored | ignored, unless client.legacy_cone or relay.honour_cone asks otherwise | a packet that nobody asked for proves nothing about who is behind the mapping
QUA-04 | text and figure of RFC 4380 5.2.1 disagree whether there are three or four solicitations in a phase | three in all | so does Neighbor Discovery
QUA-13 QUA-14 | a server has two addresses, and two different mappings mean no service | a server may have one address (client.secondary = "none"); with two, a symmetric NAT is crossed by RFC 6081 | people with a single IPv4 address can run a server; a client that knows its NAT less is still reached by nonces
ADR-17 | nothing about how long the random flag bits live | as long as the mapping, over restarts too | an address that stays the same keeps connections alive
ADR-18 | nothing about port 0 | never sent to, never accepted as a source | no NAT maps there, and kernels refuse it
ADR-19 | the U and G bits are clear in an address that is formed | any value is understood | deployed clients set them
ADR-20 | RFC 4380 mentions 3ffe:831f::/32 of its drafts | an ordinary native prefix | the 6bone was given back in 2006
ENC-13 SRV-25 | nothing about the hop limit of a bubble | any is accepted, and forwarding over UDP leaves it alone | real relays send 0
TRL-15 | RFC 6081 gives the random port trailer two numbers, 5 in its text and 2 in its table | 5 | real packets have 5
TRL-16 | RFC 6081 does not speak of trailers at servers | kept over UDP, cut off before native IPv6 | clients need them, routers cannot read them
TRL-17 | nothing about a known trailer with the wrong length | passed over, the packet lives | as for a trailer that is malformed
QUA-18 | the prefix option has 128 bits | the first 64 count | deployed servers leave other bits in the rest
QUA-19 | the secondary advertises "the server's IPv4 address" | the primary's, from both | anything else would make two addresses out of one client
QUA-20 | the advertised MTU counts | it may be missing, and less than 1280 is ignored | IPv6 knows no smaller link
QUA-21 | Neighbor Discovery takes a lifetime of 0 for "no default router" | fine | the tunnel's route does not come from the advertisement, and deployed servers send 0
SEC-11 SEC-06 | a nonce is echoed with secure qualification only | a bare nonce is echoed, nothing is answered by nothing | clients compare it, and old ones send none
MNT-12 | advertisements are compared with the address in use | those asked for by a port prediction are not | they came from another port on purpose
MNT-06 | nothing about maintenance that fails | after it, qualification starts again, with the next server where there is one | an address that nobody can reach helps nobody
RID-05 RID-06 | the search of RFC 4380 5.2.7 never ends when the ceiling itself succeeds | it ends there as well | a search without end would keep the second port for ever
RCV-16 | discovery is case 4, behind the test for known peers | looked at first | a bubble sent to a group can have no other meaning
RCV-17 | packets from port 3544 of the server are the server's | data among them are judged like anybody's | relays send from there
RCV-18 | a packet received from any IPv4 address may make an entry | only a global one, unless the peer is local or private ranges are allowed | else strangers could point entries into the intranet (CVE-2006-6264)
RCV-19 XMT-14 | nothing about odd sources | own, unspecified, multicast and loopback sources are dropped both ways | no honest packet has them
RCV-20 RCV-21 | a server "should" insert an origin | without one a Teredo source is answered at its mapping, a native one not at all | old servers leave it out
XMT-15 RLY-13 | lists and queues are "sufficient" and "limited" | bounded in entries and octets, each bound counted when met | memory is finite, and nothing may vanish namelessly
BUB-08 | bubbles are counted one by one, and each waits 2 s for the last | a direct and an indirect one together are one | by the letter the second could never follow the first
BUB-09 SNS-12 | an answer to an indirect bubble would fall under the 2 s rule | answers have a limit of their own; an untrusted peer is answered both ways | hole punching fails otherwise
DCT-05 | nothing about how often connectivity tests may be sent | limited in total and for each destination | forged sources would make the client ask third parties (CVE-2006-6266)
LOC-05 LOC-07 | a discovery bubble may come from anyone on the link | the mapped IPv4 must be ours too, unless client.require_same_mapped_address says otherwise | others are behind another NAT
SNS-13 | 0 means "no nonce" | never sent, never matches | else silence would prove something
SNS-15 | only an example shows a direct bubble after a peer became trusted | one, each time | the other side learns a symmetric mapping from it
PPS-15 PPS-16 SEQ-11 | figure 1 and section 5 of RFC 6081 do not fit together for a port-restricted side | it reaches the peer's random port from its primary one, and random ports are opened towards the mapping too | only this makes the figure true
SEQ-07 | the prediction is (upper + upper) / 2 | (lower + upper) / 2 | so does the example, and it is the middle
SEQ-12 | a second request during a measurement is not spoken of | absorbed | the measurement that runs answers it
HPN-08 | alternates must be "valid unicast" | multicast, loopback, 0/8 and broadcast are refused, more than four condemn the trailer | none can be a peer's address
HPN-06 | every trusted peer is answered at every alternate | one bubble, at its mapping | four packets for one would amplify
SRV-23 SRV-24 RLY-21 | loops are not spoken of | what comes from, or leads to, one of our own addresses is dropped | one packet could circle for ever (RFC 6324 for its kin)
SRV-26 SRV-27 | any ICMPv6 message is forwarded | echoes only, and small ones | a server is no way to hide for floods
SRV-17 | a cone solicitation is answered from the other address | dropped where the server has one address | the answer from the same one would be a lie
RLY-16 RLY-17 | a packet from an unknown client may be dropped | see the tests of that rule: its mapping must match, and what follows is limited in rate | a relay that lost its memory is useful again at once
RLY-23 | nothing about what the sender hears when bubbles were in vain | "address unreachable", limited in rate | programs fail at once instead of waiting
SUN-01 | no client beside native IPv6 | by client.native_ipv6, "prefer" unless told otherwise: native routes win, and the tunnel reaches Teredo peers | Teredo peers are nearer by Teredo than over a relay
`;

function parseRow(row: string): Difference {
  const [ids, text, ours, why, ...rest] = row.split(" | ");
  const rules = ids.split(" ");
  if (why === undefined || rest.length > 0) throw new Error(`Cannot read the row "${row}": it has not four cells`);
  const unknown = rules.find((id) => CHECKLIST.every((rule) => rule.id !== id));
  if (unknown !== undefined) throw new Error(`Cannot find the rule "${unknown}" of the row "${row}"`);
  return { rules, text, ours, why };
}

/** All decisions, in the order of the checklist's parts. */
export const DIFFERENCES: readonly Difference[] = ROWS.trim().split("\n").map(parseRow);
