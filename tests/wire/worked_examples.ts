/**
 * Worked examples of every message, calculated by hand from the RFCs. The addresses are those of the figures of RFC 6081 3.1 and 3.5:
 *
 * ```
 * A      192.0.2.1:4096  of server 203.0.113.120     2001:0:cb00:7178:0:efff:3fff:fdfe
 * B      192.0.2.10:8192 of server 198.51.100.118    2001:0:c633:6476:3c5a:dfff:3fff:fdf5   (with random flags, RFC 5991)
 * relay  192.0.2.200:40000                           fe80::1c5f:6ad2:93b1:77e0
 * native                                             2001:db8:1::1
 * ```
 */

import { hex, ipv6, join } from "./octets.ts";

export const A = ipv6("2001:0:cb00:7178:0:efff:3fff:fdfe");
export const B = ipv6("2001:0:c633:6476:3c5a:dfff:3fff:fdf5");
export const RELAY = ipv6("fe80::1c5f:6ad2:93b1:77e0");
export const NATIVE = ipv6("2001:db8:1::1");

/** The nonce of every authentication element here. */
export const NONCE = hex("01 23 45 67 89 ab cd ef");

const NULL_AUTHENTICATION = hex("00 01 00 00 01 23 45 67 89 ab cd ef 00");

/** Router Solicitation of the restricted phase: RFC 4380 5.2.1, source as deployed clients use it. */
const SOLICITATION = hex(`
  60 00 00 00 00 08 3a ff
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
  85 00 7d 38 00 00 00 00`);

export const RS_RESTRICTED = join(NULL_AUTHENTICATION, SOLICITATION);

/** Router Solicitation of the cone phase (legacy). */
export const RS_CONE = join(
  NULL_AUTHENTICATION,
  hex(`
  60 00 00 00 00 08 3a ff
  fe 80 00 00 00 00 00 00 80 00 ff ff ff ff ff fd
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
  85 00 fd 38 00 00 00 00`),
);

/** Origin 192.0.2.1:4096, then the Router Advertisement of 203.0.113.120 with MTU 1280. */
const ADVERTISEMENT = hex(`
  00 00 ef ff 3f ff fd fe
  60 00 00 00 00 38 3a ff
  fe 80 00 00 00 00 00 00 80 00 f2 27 34 ff 8e 87
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  86 00 95 4d 00 00 00 00 00 00 00 00 00 00 07 d0
  03 04 40 40 ff ff ff ff ff ff ff ff 00 00 00 00
  20 01 00 00 cb 00 71 78 00 00 00 00 00 00 00 00
  05 01 00 00 00 00 05 00`);

export const RA = join(NULL_AUTHENTICATION, ADVERTISEMENT);

/** Identifier "alice", secret "teredo-secret": RFC 4380 5.2.2. */
export const SECURE_IDENTIFIER = "alice";
export const SECURE_SECRET = "teredo-secret";

export const RS_SECURE = join(
  hex(`
  00 01 05 14 61 6c 69 63 65
  09 2f 41 72 ae a4 33 fb 2c 70 06 f1 04 82 3e 42 a6 7f d8 28
  01 23 45 67 89 ab cd ef 00`),
  SOLICITATION,
);

export const RA_SECURE = join(
  hex(`
  00 01 05 14 61 6c 69 63 65
  73 b6 72 66 c6 ac a5 84 a8 34 16 f5 31 3f c6 47 4f ab ce 97
  01 23 45 67 89 ab cd ef 00`),
  ADVERTISEMENT,
);

export const DIRECT_BUBBLE = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  20 01 00 00 c6 33 64 76 3c 5a df ff 3f ff fd f5`);

/** A to the server of B: nonce a1b2c3d4, alternate 192.168.1.10:50000, random port 1201. */
export const INDIRECT_BUBBLE = join(
  DIRECT_BUBBLE,
  hex("01 04 a1 b2 c3 d4  03 08 00 00 c0 a8 01 0a c3 50  05 02 04 b1"),
);

/** The same as the server of B hands it on. */
export const INDIRECT_BUBBLE_FORWARDED = join(hex("00 00 ef ff 3f ff fd fe"), INDIRECT_BUBBLE);

const BUBBLE_B_TO_A = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 c6 33 64 76 3c 5a df ff 3f ff fd f5
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe`);

export const DIRECT_BUBBLE_WITH_NONCE = join(BUBBLE_B_TO_A, hex("01 04 a1 b2 c3 d4"));
export const DISCOVERY_SOLICITATION = join(DIRECT_BUBBLE, hex("04 04 00 00 00 00"));
export const DISCOVERY_ADVERTISEMENT = join(BUBBLE_B_TO_A, hex("04 04 01 00 00 00"));

/** Identifier 1122, sequence 3344, eight octets of data. */
export const ECHO_REQUEST = hex(`
  60 00 00 00 00 10 3a 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
  80 00 60 b5 11 22 33 44 55 66 77 88 99 aa bb cc`);

export const ECHO_REPLY = hex(`
  60 00 00 00 00 10 3a 15
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  81 00 5f b5 11 22 33 44 55 66 77 88 99 aa bb cc`);

/** Local discovery bubble of A: hop limit 1, to all nodes. */
export const LOCAL_DISCOVERY = hex(`
  60 00 00 00 00 00 3b 01
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 01`);

/** Bubble of a relay as the server of A hands it on. */
export const RELAY_BUBBLE_FORWARDED = hex(`
  00 00 63 bf 3f ff fd 37
  60 00 00 00 00 00 3b 15
  fe 80 00 00 00 00 00 00 1c 5f 6a d2 93 b1 77 e0
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe`);

export const REPLY_TO_RELAY = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  fe 80 00 00 00 00 00 00 1c 5f 6a d2 93 b1 77 e0`);

/** 2001:db8:1::ff says to 2001:db8:1::1 that A is unreachable, about an Echo Request of 56 octets. */
export const DESTINATION_UNREACHABLE = hex(`
  60 00 00 00 00 40 3a 40
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 ff
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
  01 03 08 33 00 00 00 00
  60 00 00 00 00 10 3a 15
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  80 00 f6 aa 00 01 00 01 31 32 33 34 35 36 37 38`);

/** Every UDP payload above. */
export const DATAGRAMS: readonly Uint8Array[] = [
  RS_RESTRICTED,
  RS_CONE,
  RA,
  RS_SECURE,
  RA_SECURE,
  DIRECT_BUBBLE,
  INDIRECT_BUBBLE,
  INDIRECT_BUBBLE_FORWARDED,
  DIRECT_BUBBLE_WITH_NONCE,
  DISCOVERY_SOLICITATION,
  DISCOVERY_ADVERTISEMENT,
  ECHO_REQUEST,
  ECHO_REPLY,
  LOCAL_DISCOVERY,
  RELAY_BUBBLE_FORWARDED,
  REPLY_TO_RELAY,
  DESTINATION_UNREACHABLE,
];
