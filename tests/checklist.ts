/**
 * The rules of the RFCs as a list: what a Teredo client, relay and server must do, one row a rule.
 *
 * The texts are short reminders in our own words; the RFC section named last is the rule itself. The id stands in brackets at the start of
 * the name of the test that holds it, `deno task checklist` prints which test that is and fails when a rule has none.
 *
 * ```
 *   id | role | level | rule | source
 *   role:   C client, R relay, S server, A all of them
 *   level:  capitals where the RFC writes a keyword of RFC 2119, lower case where it says so in plain words, "ours" where the RFCs are
 *           silent or at odds and we decided
 * ```
 */

/** One rule. */
export interface Rule {
  readonly id: string;
  /** Whom it binds: letters C, R, S, A, separated by spaces. */
  readonly role: string;
  readonly level: string;
  readonly text: string;
  /** RFC section, or `ours`. */
  readonly source: string;
  /** The part of the list it stands in. */
  readonly part: string;
}

interface Part {
  readonly title: string;
  readonly rows: string;
}

const PARTS: readonly Part[] = [
  {
    title: "Addresses and parsing",
    rows: `
ADR-01 | A | must | a Teredo address is prefix (4 octets), server (4), flags (2), hidden port (2), hidden IPv4 (4) | RFC 4380 4
ADR-02 | A | must | the client's port and IPv4 stand inverted bit by bit; the server's IPv4 stands plain | RFC 4380 4
ADR-03 | A | must | 2001:0000::/32 and no other prefix makes an address Teredo | RFC 4380 2.6
ADR-04 | C | MUST | the z bit is clear in an address we form | RFC 5991 3.1
ADR-05 | C | MUST | both random fields of the flags are drawn at random | RFC 5991 3.1
ADR-06 | C | MUST | the flags are drawn from a generator fit for security | RFC 5991 4
ADR-07 | C | should | the U and G bits are clear in an address we form | RFC 4380 4
ADR-08 | A | must | flag bits without a meaning are ignored when received | RFC 4380 4
ADR-09 | C | MUST | a global Teredo address hides only a global IPv4 address | RFC 4380 4
ADR-10 | C | MAY | a link-local identifier may hide a private IPv4 address | RFC 4380 4
ADR-11 | C | SHOULD | the cone bit is clear, since there is no cone phase | RFC 5991 3.2
ADR-12 | C R | SHOULD | the cone bit of a peer makes no difference | RFC 5991 3.2
ADR-13 | S | MUST NOT | a server does look at the cone bit of a solicitation's source | RFC 5991 3.2
ADR-14 | S | must | a server's link-local address hides its own IPv4, port 3544, with the cone bit set | RFC 4380 5.3.2; RFC 5991 3.2
ADR-15 | A | must | an IPv4 address is global unicast unless it is on the closed list of ranges | RFC 4380 5.2.4
ADR-16 | A | must | the directed broadcast address of a subnet we are attached to is not global | RFC 4380 5.2.4
ADR-17 | C | ours | the random flags stay the same as long as the mapping does | ours
ADR-18 | A | ours | nothing is ever sent to UDP port 0 | ours
ADR-19 | A | ours | no address is refused on account of its U or G bit | ours
ADR-20 | C | ours | 3ffe:831f::/32 is neither formed nor taken for Teredo | RFC 4380 2.6
ENC-01 | A | MUST | authentication, then origin, then the IPv6 packet | RFC 4380 5.1.1
ENC-02 | A | must | 00 01 opens an authentication of 13 octets and the two variable fields | RFC 4380 5.1.1
ENC-03 | A | must | 00 00 opens an origin of 8 octets with port and address inverted | RFC 4380 5.1.1
ENC-04 | A | must | a datagram that starts with neither of the two nor with IP version 6 is dropped silently | RFC 4380 5.1.1, 5.2.3
ENC-05 | A | must | a cut authentication, origin or IPv6 header is dropped silently | RFC 4380 5.2.3
ENC-06 | A | must | an IPv6 packet longer than what is left of the datagram is dropped | RFC 6081 4
ENC-07 | A | must | octets behind the IPv6 packet do no harm | RFC 6081 4
ENC-08 | C | must | the four combinations of authentication and origin are all understood | RFC 4380 5.2.3
ENC-09 | A | SHOULD NOT | outer packets go out without "don't fragment" | RFC 4380 5.1.2
ENC-10 | A | SHOULD | the link's MTU is 1280 | RFC 4380 5.1.2
ENC-11 | A | MUST | outer packets go out with ECN 00 | RFC 9601 6.1.3
ENC-12 | A | must | a bubble is next header 59 and an empty payload | RFC 4380 2.8
ENC-13 | A | ours | no hop limit makes a bubble unacceptable | ours
ENC-14 | A | must | a second authentication or a second origin makes the datagram malformed | RFC 4380 5.1.1
`,
  },
  {
    title: "Trailers",
    rows: `
TRL-01 | C | MUST | trailers take effect in the order they stand in | RFC 6081 5.1.2
TRL-02 | C | MUST | an unknown trailer of class 01 condemns the packet | RFC 6081 5.1.2
TRL-03 | C | MUST | an unknown trailer of any other class is passed over | RFC 6081 5.1.2
TRL-04 | C | MUST | a malformed trailer ends the reading but the packet lives | RFC 6081 5.1.2
TRL-05 | C | MUST | a rest of one octet is malformed | RFC 6081 5.1.2
TRL-06 | C | MUST | a trailer longer than the rest is malformed | RFC 6081 5.1.2
TRL-07 | C | MUST | the nonce trailer is type 1 of 4 octets | RFC 6081 4.2
TRL-08 | C | MUST | the alternate address trailer is type 3 of 8, 14, 20 or 26 octets | RFC 6081 4.3
TRL-09 | C | SHOULD | an alternate address trailer of ours has at most 14 octets | RFC 6081 4.3
TRL-10 | C | MUST | reserved octets are ignored when received | RFC 6081 4.3, 4.4
TRL-11 | C | MUST NOT | an alternate address trailer stands only in an indirect bubble | RFC 6081 4.3
TRL-12 | C | MUST | an alternate address must be unicast and its port not 0 | RFC 6081 4.3
TRL-13 | C | MUST | the discovery trailer is type 4 of 4 octets: solicitation 0, advertisement 1 | RFC 6081 4.4
TRL-14 | C | MUST | the random port trailer is type 5 of 2 octets in network order | RFC 6081 4.5
TRL-15 | C | ours | type 2 is not a random port trailer | ours
TRL-16 | S | ours | trailers stay on what a server forwards over UDP and go from what it forwards natively | ours
TRL-17 | C | ours | a known trailer of the wrong length is passed over | ours
`,
  },
  {
    title: "Qualification, security, maintenance",
    rows: `
QUA-01 | C | must | the solicitation goes from the service port to port 3544 of the primary, link-local to all routers | RFC 4380 5.2.1
QUA-02 | C | SHOULD | there is no cone phase | RFC 5991 3.2
QUA-03 | C | should | an unanswered solicitation is repeated after 4 s | RFC 4380 5.2.1
QUA-04 | C | must | three solicitations in vain end a phase | RFC 4380 5.2.1
QUA-05 | C | must | no answer from the primary leaves the client off-line | RFC 4380 5.2.1
QUA-06 | C | must | an advertisement without origin is dropped | RFC 4380 5.2.1
QUA-07 | C | must | an advertisement to another link-local address than the one that asked is dropped | RFC 4380 5.2.1
QUA-08 | C | must | an advertisement with no prefix, or with several, is dropped | RFC 4380 5.2.1
QUA-09 | C | should | the prefix advertised must be 2001:0 and the server's IPv4 | RFC 4380 5.2.1
QUA-10 | C | must | what Neighbor Discovery forbids in an advertisement is dropped: hop limit, checksum, code, options | RFC 4380 5.2.1; RFC 4861 6.1.2
QUA-11 | C | must | a bad advertisement neither ends nor restarts the wait | RFC 4380 5.2.1
QUA-12 | C | must | after the primary's answer the same port asks the secondary | RFC 4380 5.2.1
QUA-13 | C | must | no answer from the secondary means not qualified | RFC 4380 5.2.1
QUA-14 | C | must | two different mappings mean a symmetric NAT, and without its traversal no service | RFC 4380 5.2.1
QUA-15 | C | must | two equal mappings qualify; the address comes from prefix and origin | RFC 4380 5.2.1
QUA-16 | C | should | legacy: an answer in the cone phase qualifies at once with the cone bit set | RFC 4380 5.2.1
QUA-17 | C | must | no IPv6 packet passes before the client is qualified | RFC 4380 5.2
QUA-18 | C | ours | only the first 64 bits of the prefix count | ours
QUA-19 | C | ours | the secondary advertises the primary's prefix | ours
QUA-20 | C | ours | the MTU option may be missing, and one below 1280 is ignored | ours
QUA-21 | C | ours | a router lifetime of 0 is fine | RFC 4861 6.3.4
QUA-22 | C | must | the service port can be configured | RFC 4380 5.2.10
QUA-23 | C | should | a service port that is not configured is random | RFC 4380 5.2
SEC-01 | C | MUST | an advertisement with another nonce than ours is dropped | RFC 4380 5.2.2
SEC-02 | C S | MUST | a wrong message authentication code condemns the packet | RFC 4380 5.2.2
SEC-03 | C S | must | the code is HMAC-SHA1 over nonce, confirmation, origin where there is one, and the IPv6 packet | RFC 4380 5.2.2
SEC-04 | C | must | the confirmation octet of a client is 0 | RFC 4380 5.2.2
SEC-05 | C | should | a confirmation other than 0 asks for a new key | RFC 4380 5.2.2
SEC-06 | C | must | without a key both lengths are 0, and the nonce is compared all the same | RFC 4380 5.2.2
SEC-07 | S | MUST | a server with keys answers with the identifier and the nonce of the question | RFC 4380 5.3.2
SEC-08 | S | MUST | confirmation is 0 for an identifier in force, else not | RFC 4380 5.3.2
SEC-09 | S | SHOULD | the code is made with the secret of that identifier | RFC 4380 5.3.2
SEC-10 | S | MUST | a server with keys drops a solicitation without, or with wrong, authentication | RFC 4380 5.3.1 (4)
SEC-11 | S | ours | a bare nonce is echoed; nothing in, nothing out | ours
MNT-01 | C | MUST | the client sees to it that the server is heard within the randomised interval | RFC 4380 5.2.5
MNT-02 | C | SHOULD | and solicits when it was not | RFC 4380 5.2.5
MNT-03 | C | should | with the cone bit that qualified it | RFC 4380 5.2.5
MNT-04 | C | SHOULD | an advertisement is checked here as well, and dropped silently when bad | RFC 4380 5.2.5
MNT-05 | C | MUST | its origin is compared with the address in use | RFC 4380 5.2.5
MNT-06 | C | must | another mapping ends the old address and makes a new one | RFC 4380 5.2.5
MNT-07 | C | MUST | the interval is 30 s unless told otherwise | RFC 6081 5.1.1
MNT-08 | C | SHOULD | the first interval can be configured | RFC 6081 5.1.1
MNT-09 | C | must | each wait is 75 to 100 % of the interval | RFC 4380 5.2; RFC 6081 5.1.1
MNT-10 | C | MAY | more solicitations at other times are harmless | RFC 6081 5.1.1
MNT-11 | C | must | every packet from port 3544 of the server counts as hearing it | RFC 4380 5.2.3
MNT-12 | C | ours | advertisements asked for by a port prediction never change the address | ours
RID-01 | C | MUST | a second port is qualified right behind the service port | RFC 4380 5.2.7
RID-02 | C | must | when that fails, the interval stays at 30 s | RFC 4380 5.2.7
RID-03 | C | must | the search starts with a candidate of 60 s and a ceiling of 120 s | RFC 4380 5.2.7
RID-04 | C | must | each candidate has 2 s for an answer and three repetitions | RFC 4380 5.2.7
RID-05 | C | must | success raises the candidate to the lesser of twice the interval and the middle to the ceiling | RFC 4380 5.2.7
RID-06 | C | must | failure lowers the ceiling; the end is an interval of 75 % of it | RFC 4380 5.2.7
RID-07 | C | MUST NOT | the second port does nothing else | RFC 4380 5.2.7
RID-08 | C | should | and is closed at the end | RFC 4380 5.2.7
`,
  },
  {
    title: "Client: reception, transmission, bubbles, discovery",
    rows: `
RCV-01 | C | must | a malformed datagram is dropped silently | RFC 4380 5.2.3
RCV-02 | C | should | a packet for another IPv6 address than ours is dropped | RFC 4380 5.2.3
RCV-03 | C | should | a packet with origin from the server, from a native source, belongs to the connectivity test | RFC 4380 5.2.3
RCV-04 | C | must | from the known mapping of a trusted peer: accepted, and reception noted | RFC 4380 5.2.3
RCV-05 | C | should | an echo reply with the right nonce makes a native peer trusted and teaches its relay | RFC 4380 5.2.3
RCV-06 | C | should | what waited for it goes to that relay | RFC 4380 5.2.3
RCV-07 | C | must | an echo reply with a wrong nonce changes nothing | RFC 4380 5.2.3
RCV-08 | C | MUST | a packet from the mapping its Teredo source names makes an entry where there is none | RFC 4380 5.2.3
RCV-09 | C | should | and makes the peer trusted with that mapping | RFC 4380 5.2.3
RCV-10 | C | must | a new entry was never sent to (30 s ago) and has no bubbles counted | RFC 4380 5.2.3
RCV-11 | C | should | a bubble ends here, any other packet passes | RFC 4380 5.2.3
RCV-12 | C | must | what waited for the peer goes out | RFC 4380 5.2.3
RCV-13 | C | must | a packet from the local address known by discovery makes the peer trusted | RFC 4380 5.2.3
RCV-14 | C | MAY | any other packet may be accepted, after a connectivity test | RFC 4380 5.2.3
RCV-15 | C | MAY | a bubble may go to the source of any packet | RFC 4380 5.2.3
RCV-16 | C | ours | discovery bubbles are recognised before anything else | ours
RCV-17 | C | ours | a data packet from port 3544 of the server is judged like any other | ours
RCV-18 | C | ours | only a local peer is trusted with an IPv4 address that is not global | ours
RCV-19 | C | ours | our own, unspecified, multicast and loopback sources are dropped | ours
RCV-20 | C | ours | an indirect bubble from a Teredo source needs no origin | ours
RCV-21 | C | ours | an indirect bubble from a native source is answered to its origin | ours
XMT-01 | C | should | a packet for a valid trusted peer goes to its mapping, and transmission is noted | RFC 4380 5.2.4
XMT-02 | C | must | an entry is valid for 30 s after the last reception | RFC 4380 5.2.4
XMT-03 | C | must | a packet for an unknown native address waits for a connectivity test | RFC 4380 5.2.4
XMT-04 | C | should | the test is repeated after 2 s, three times at most | RFC 4380 5.2.4
XMT-05 | C | must | a packet for a peer known on the local link waits for a unicast and a discovery bubble | RFC 4380 5.2.4
XMT-06 | C | must | legacy: a packet for a cone peer goes at once | RFC 4380 5.2.4
XMT-07 | C | MAY | or not, when the cone bit is ignored | RFC 4380 5.2.4; RFC 5991 3.2
XMT-08 | C | must | a packet for any other Teredo peer waits for bubbles, direct and through the peer's server | RFC 4380 5.2.4
XMT-09 | C | MAY | the direct bubble may always be sent | RFC 4380 5.2.4
XMT-10 | C | must | what waited goes out when the peer is heard directly | RFC 4380 5.2.4
XMT-11 | C | should | the bubbles are repeated after 2 s, three times at most | RFC 4380 5.2.4
XMT-12 | C | MUST | nothing is sent towards an IPv4 address that is not global, and no error either | RFC 4380 5.2.4
XMT-13 | C | must | a trusted local peer may have a private IPv4 address | RFC 4380 5.2.4
XMT-14 | C | ours | a packet from another source than our Teredo address is refused | RFC 4380 5.2.4
XMT-15 | C | ours | queues and peers are bounded | RFC 4380 5.2, 7.3.3
BUB-01 | C | MUST NOT | no bubble within 2 s of the last packet to the peer | RFC 4380 5.2.6
BUB-02 | C | MUST NOT | no more than four unanswered bubbles in 300 s | RFC 4380 5.2.6
BUB-03 | C | MUST | a bubble counts as a transmission | RFC 4380 5.2.6
BUB-04 | C | must | bubbles are counted | RFC 4380 5.2.6
BUB-05 | C | MUST | the first direct bubble makes the entry, both times 30 s ago, none counted | RFC 4380 5.2.6
BUB-06 | C | must | a direct bubble goes to the mapping in the peer's address | RFC 4380 5.2.6
BUB-07 | C | must | an indirect bubble goes to port 3544 of the server in the peer's address | RFC 4380 5.2.6
BUB-08 | C | ours | a direct and an indirect bubble together count once | ours
BUB-09 | C | ours | answers to indirect bubbles have a limit of their own, not the 2 s | ours
DCT-01 | C | must | the echo request goes through our own server, from our address, with the nonce as its data | RFC 4380 5.2.9
DCT-02 | C | should | the nonce has 64 random bits or more | RFC 4380 5.2.9
DCT-03 | C | must | nonce and time are kept in an entry that is not trusted yet | RFC 4380 5.2.9
DCT-04 | C | should | a valid entry needs no test | RFC 4380 5.2.9
DCT-05 | C | ours | tests are limited in rate | ours
LOC-01 | C | SHOULD | the client joins 224.0.0.253 | RFC 4380 5.2.8
LOC-02 | C | SHOULD | it announces itself every 200 to 300 s, at random | RFC 4380 5.2.8
LOC-03 | C | must | an announcement has TTL 1, port 3544, the service port as source, ff02::1, hop limit 1, nothing inside | RFC 4380 5.2.8
LOC-04 | C | should | one that came to a unicast address is dropped | RFC 4380 5.2.8
LOC-05 | C | MUST | one whose source is no well-formed Teredo address is dropped | RFC 4380 5.2.8
LOC-06 | C | MUST | one from outside the local subnets is dropped | RFC 4380 5.2.8
LOC-07 | C | MAY | one with another mapped IPv4 than ours may be dropped | RFC 4380 5.2.8
LOC-08 | C | MUST | it makes or updates an entry with the local address and port it came from | RFC 4380 5.2.8
LOC-09 | C | must | a new entry is not trusted, heard now, never sent to, no bubbles counted | RFC 4380 5.2.8
LOC-10 | C | SHOULD | a unicast bubble answers | RFC 4380 5.2.3 (4)
LOC-11 | C | must | with discovery off announcements are not processed | RFC 4380 5.2.3 (4)
SUN-01 | A | MUST NOT | no client beside other IPv6 connectivity | RFC 4380 5.5
SUN-02 | A | SHOULD | 6to4 comes first where the IPv4 address is global | RFC 4380 5.5
SUN-03 | A | MAY | such a host may be a relay | RFC 4380 5.5
`,
  },
  {
    title: "RFC 6081 traversal",
    rows: `
SNS-01 | C | SHOULD | symmetric NATs are traversed | RFC 6081 5.2
SNS-02 | C | must | a client behind one is qualified with its primary mapping | RFC 6081 3.1
SNS-03 | C | MUST | every indirect bubble has a fresh random nonce, which is kept | RFC 6081 5.2.4.1
SNS-04 | C | MUST | the direct bubble that follows one echoes its nonce | RFC 6081 5.2.4.2
SNS-05 | C | MUST NOT | no nonce in a direct bubble before an indirect one came | RFC 6081 5.2.4.2
SNS-06 | C | MUST | the nonce received is kept | RFC 6081 5.2.4.3
SNS-07 | C | SHOULD | an indirect bubble without nonce clears it | RFC 6081 5.2.4.3
SNS-08 | C | MUST | a direct bubble from the mapping in the address is accepted | RFC 6081 5.2.4.4
SNS-09 | C | MUST | so is one that echoes our nonce | RFC 6081 5.2.4.4
SNS-10 | C | MUST | any other is dropped | RFC 6081 5.2.4.4
SNS-11 | C | MUST | an accepted bubble teaches the mapping | RFC 6081 5.2.4.4
SNS-12 | C | ours | an indirect bubble from an untrusted peer is answered directly and indirectly | RFC 6081 3.1, 6.1
SNS-13 | C | ours | nonce 0 is never sent and never matches | ours
SNS-14 | C | MUST | nonces cannot be guessed | RFC 6081 7
SNS-15 | C | ours | one direct bubble when a peer becomes trusted | RFC 6081 6.4 (7)
UPN-01 | C | MUST | needs the traversal of symmetric NATs | RFC 6081 5.3
UPN-07 | C | MUST | two mappings that differ set the symmetric flag | RFC 6081 5.3.3
UPN-08 | C | MUST | a UPnP mapping equal to the one seen is forgotten | RFC 6081 5.3.3
UPN-09 | C | MUST | direct bubbles from elsewhere set the peer's symmetric flag | RFC 6081 5.3.4.1
UPN-10 | C | MUST | under four conditions bubbles and data go to the mapping in the address | RFC 6081 5.3.4.2, 5.3.4.3
PPS-01 | C | MUST | at the start flags are clear and the timer is 30 s | RFC 6081 5.4.3
PPS-02 | C | MUST | a mapped port equal to the local one means port-preserving | RFC 6081 5.4.3
PPS-03 | C | MUST | the random port is chosen, opened and kept before the indirect bubble | RFC 6081 5.4.4.2
PPS-04 | C | MUST | a random port is announced in its trailer | RFC 6081 5.4.4.2
PPS-05 | C | MUST | direct bubbles go to the mapping in the address, and from the random port to the peer's | RFC 6081 5.4.4.3
PPS-06 | C | MUST | the latter carries the trailer and goes to the IPv4 in the address | RFC 6081 5.4.4.3
PPS-07 | C | MUST | the peer's random port is kept when there was none | RFC 6081 5.4.4.4
PPS-08 | C | MUST | the same one, or another within 30 s of exchange, is ignored | RFC 6081 5.4.4.4
PPS-09 | C | SHOULD | another one later is taken; a port-preserving side gives up its own | RFC 6081 5.4.4.4
PPS-10 | C | MUST | direct bubbles on the primary port follow their table | RFC 6081 5.4.4.5
PPS-11 | C | MUST | direct bubbles on the random port follow theirs | RFC 6081 5.4.4.5
PPS-12 | C | SHOULD | another mapping on the random port starts over | RFC 6081 5.4.4.5
PPS-13 | C | MUST | an idle conversation is kept alive every 30 s, twenty times at most | RFC 6081 5.4.2.1
PPS-14 | C | MUST | only data sent counts as data sent | RFC 6081 5.4.4.1
PPS-15 | C | ours | a side that is not symmetric reaches the peer's random port from its primary port | RFC 6081 6.4, fig. 1
PPS-16 | C | ours | the random port is opened towards the mapping in the address too | RFC 6081 3.3
SEQ-01 | C | MUST | needs symmetric and port-preserving traversal | RFC 6081 5.5
SEQ-02 | C | MUST | a symmetric NAT that does not preserve ports is measured before the indirect bubble | RFC 6081 5.5.4.1
SEQ-03 | C | MUST | solicitation, direct bubble, solicitation, in this order from one random port | RFC 6081 5.5.4.1.1
SEQ-04 | C | MUST | the solicitations are authenticated with nonces that are kept | RFC 6081 5.5.4.1.1
SEQ-05 | C | MUST | each measurement is counted and given that many seconds | RFC 6081 5.5.4.1.1
SEQ-06 | C | MUST | the lower and the upper port are set once, by the advertisement that matches | RFC 6081 5.5.4.4
SEQ-07 | C | MUST | the prediction is their middle, rounded down, and the indirect bubble follows | RFC 6081 5.5.4.4
SEQ-08 | C | MUST | a first time-out measures again, a second one sends the indirect bubble | RFC 6081 5.5.2.2
SEQ-09 | C | MUST | a direct bubble on the primary port ends the measurement | RFC 6081 5.5.4.3
SEQ-10 | C | MUST | the keep-alive timer forgets ports and count | RFC 6081 5.5.2.1
SEQ-11 | C | ours | the second packet goes to the peer's random port where known | ours
SEQ-12 | C | ours | one measurement at a time for a peer | ours
HPN-01 | C | MUST | before contact, the alternate address trailer names the local address first | RFC 6081 5.6.4.1
HPN-02 | C | MUST | and the UPnP mapping next, where there is one | RFC 6081 5.6.4.1
HPN-03 | C | MUST | with a nonce trailer beside it | RFC 6081 5.6.4.1
HPN-04 | C | SHOULD | a bubble with a malformed one is dropped | RFC 6081 5.6.4.2
HPN-05 | C | MUST | direct bubbles with the nonce go to the address and to every alternate | RFC 6081 5.6.4.2
HPN-06 | C | ours | a trusted peer gets one bubble, at its mapping | RFC 6081 6.5 (11)
HPN-07 | C | MUST | the answers are accepted as behind symmetric NATs | RFC 6081 5.6.4.3
HPN-08 | C | ours | alternates that are no peer's address are refused | ours
SLR-01 | C | MUST | after 30 s of silence a direct solicitation comes first, with 2 s to answer | RFC 6081 5.7.4.1
SLR-02 | C | MUST | it is repeated twice, then the indirect bubble goes | RFC 6081 5.7.2
SLR-03 | C | MUST | a solicitation is answered with an advertisement | RFC 6081 5.7.4.2
SLR-04 | C | must | an advertisement is not answered | RFC 6081 4.4
`,
  },
  {
    title: "Port mapping of RFC 6081",
    rows: `
UPN-02 | C | MUST | a mapping left over from before is removed first | RFC 6081 5.3.3
UPN-03 | C | MUST | the mapping is asked for with the parameters listed | RFC 6081 5.3.3
UPN-04 | C | MUST | without it the client goes on | RFC 6081 5.3.3
UPN-05 | C | MUST | then the external address is asked for | RFC 6081 5.3.3
UPN-06 | C | SHOULD | failing that, the mapping is removed and the client goes on | RFC 6081 5.3.3
UPN-11 | C | MUST | the mapping is deleted at the end | RFC 6081 5.3.5
UPN-12 | C | SHOULD | the mapped port is kept over restarts | RFC 6081 5.3.1
`,
  },
  {
    title: "Server",
    rows: `
SRV-01 | S | MUST | a malformed datagram is dropped silently | RFC 4380 5.3.1 (1)
SRV-02 | S | SHOULD | anything but a bubble or ICMPv6 is dropped | RFC 4380 5.3.1 (2)
SRV-03 | S | MUST | a datagram from an IPv4 address that is not global is dropped silently | RFC 4380 5.3.1 (3)
SRV-04 | S | MUST | a solicitation from a link-local address to all routers is accepted | RFC 4380 5.3.1 (4)
SRV-05 | S | SHOULD | a packet whose Teredo source names the mapping it came from is accepted | RFC 4380 5.3.1 (5)
SRV-06 | S | SHOULD | a packet from a native source to a client of ours is accepted | RFC 4380 5.3.1 (6)
SRV-07 | S | MUST | everything else is dropped silently, a Teredo source with another mapping included | RFC 4380 5.3.1 (7)
SRV-08 | S | must | solicitations and echo requests to the server itself are answered | RFC 4380 5.3.1
SRV-09 | S | MUST NOT | nothing is forwarded to an IPv6 address that is not global | RFC 4380 5.3.1
SRV-10 | S | should | a native destination is reached by IPv6 routing | RFC 4380 5.3.1
SRV-11 | S | MUST | an IPv4 address that is not global is never sent to, and there is no error | RFC 4380 5.3.1
SRV-12 | S | must | a Teredo destination is reached at its mapping, from port 3544 | RFC 4380 5.3.1
SRV-13 | S | should | with an origin before it when the client is ours | RFC 4380 5.3.1
SRV-14 | S | MUST | the prefix advertised is 2001:0 and the server's IPv4 | RFC 4380 5.3.2
SRV-15 | S | should | an advertisement goes from the server's link-local address to the one that asked | RFC 4380 5.3.2
SRV-16 | S | must | to the IPv4 address and port that asked, which its origin repeats | RFC 4380 5.3.2
SRV-17 | S | must | cone bit set: from another IPv4 address | RFC 4380 5.3.2; RFC 5991 3.2
SRV-18 | S | must | cone bit clear: from the same one | RFC 4380 5.3.2
SRV-19 | S | MUST | and only to a global IPv4 address | RFC 4380 5.3.2
SRV-20 | S | SHOULD | the MTU advertised is 1280 | RFC 4380 5.1.2
SRV-21 | S | must | a server keeps nothing of its clients | RFC 4380 5.3
SRV-22 | S | must | a server's host can be a relay too | RFC 4380 5.4.3
SRV-23 | S | ours | a datagram from our own IPv4 address is dropped | ours
SRV-24 | S | ours | and so is a packet for our own IPv4 address | ours
SRV-25 | S | ours | forwarding over UDP leaves the hop limit alone | ours
SRV-26 | S | ours | large ICMPv6 messages are not forwarded | ours
SRV-27 | S | must | unless told otherwise only bubbles and echoes are forwarded | RFC 4380 5.3
`,
  },
  {
    title: "Relay",
    rows: `
RLY-01 | R | must | only valid Teredo destinations are reached over UDP | RFC 4380 5.4.1
RLY-02 | R | MUST | a destination that hides an IPv4 address that is not global is dropped silently | RFC 4380 5.4.1
RLY-03 | R | should | a packet for a trusted client goes to its mapping, and transmission is noted | RFC 4380 5.4.1
RLY-04 | R | must | legacy: a packet for a cone client goes at once, and the client is trusted | RFC 4380 5.4.1
RLY-05 | R | SHOULD | the cone bit is ignored and a bubble always sent | RFC 5991 3.2
RLY-06 | R | must | the bubble goes from the relay's own IPv6 address through the client's server | RFC 4380 5.4.1
RLY-07 | R | should | a relay behind a NAT sends a direct bubble too | RFC 4380 5.4.1
RLY-08 | R | MAY | any relay may | RFC 4380 5.4.1
RLY-09 | R | MAY | bubbles are repeated after 2 s, three times at most | RFC 4380 5.4.1
RLY-10 | R | must | after that the entry goes | RFC 4380 5.4.1
RLY-11 | R | MAY | packets may wait for the client | RFC 4380 5.4.1
RLY-12 | R | SHOULD | they leave when it is trusted and go with its entry | RFC 4380 5.4.1
RLY-13 | R | SHOULD | what waits is bounded | RFC 4380 5.4.1
RLY-14 | R | must | malformed IPv6 is dropped silently | RFC 4380 5.4.2
RLY-15 | R | must | a source that is not Teredo, or names another mapping, is dropped silently | RFC 4380 5.4.2
RLY-16 | R | may | a client never sent to may be dropped silently | RFC 4380 5.4.2
RLY-17 | R | must | a known one becomes trusted, and its reception is noted | RFC 4380 5.4.2
RLY-18 | R | SHOULD | a packet for an address served is forwarded | RFC 4380 5.4.2
RLY-19 | R | SHOULD | any other is dropped silently | RFC 4380 5.4.2
RLY-20 | R | must | one service port, and peers kept as a client keeps them | RFC 4380 5.4
RLY-21 | R | ours | a destination that hides our own IPv4 address is dropped | ours
RLY-22 | R | MUST | a packet above the tunnel's MTU is answered "packet too big" | RFC 4443 3.2
RLY-23 | R | ours | after the last bubble in vain comes "address unreachable", limited in rate | ours
`,
  },
  {
    title: "ICMPv6",
    rows: `
ICM-01 | A | MUST | checksums are made and checked | RFC 4443 2.3
ICM-02 | A | MUST NOT | no error about an error, about multicast, or to an unspecified source | RFC 4443 2.4(e)
ICM-03 | A | MUST | errors are limited in rate | RFC 4443 2.4(f)
ICM-04 | A | MUST | an error quotes as much as fits in 1280 octets | RFC 4443 2.4(c)
ICM-05 | A | MUST | a silent drop makes no error | RFC 4380 5.2.4, 5.3.1, 5.4.1
ICM-06 | C | MUST | an echo to our own address comes back with identifier, sequence and data | RFC 4443 4.2
ICM-07 | C S | MUST | a solicitation or advertisement with a hop limit other than 255 is dropped | RFC 4861 6.1
`,
  },
];

function parseRow(row: string, part: Part): Rule {
  const cells = row.split(" | ");
  const [id, role, level, text, source] = cells;
  if (cells.length !== 5) throw new Error(`Cannot read the rule "${row}": it has ${cells.length} cells instead of 5`);
  return { id, role, level, text, source, part: part.title };
}

/** All rules, in the order of the RFCs' subjects. */
export const CHECKLIST: readonly Rule[] = PARTS.flatMap((part) =>
  part.rows.trim().split("\n").map((row) => parseRow(row, part))
);
