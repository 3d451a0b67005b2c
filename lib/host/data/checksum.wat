;; The Internet checksum's sum (RFC 1071) over octets of the packet arena, with SIMD.
;;
;;   sum(at, length) -> the one's-complement sum of the big-endian 16-bit words, folded to 16 bits; an odd last octet counts as the
;;                      high half of a word. 0 only when all octets are 0.
;;
;; Words are added in the machine's (little-endian) order: the sum of swapped words is the swapped sum (RFC 1071 2 B), so one swap at
;; the end is enough. A lane of a vector takes two words a step; 65,535 octets are 1024 rounds, far from the 32 bits of a lane.
;;
;; lib/host/data/checksum_module.ts is made of this file by scripts/assemble.ts.
(module
  (import "arena" "memory" (memory 1 65536))
  (func (export "sum") (param $at i32) (param $length i32) (result i32)
    (local $sum i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)

    ;; 64 octets a round, in four sums that do not wait for one another
    (block $short
      (loop $round
        (br_if $short (i32.lt_u (local.get $length) (i32.const 64)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.extadd_pairwise_i16x8_u (v128.load align=1 (local.get $at)))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.extadd_pairwise_i16x8_u (v128.load offset=16 align=1 (local.get $at)))))
        (local.set $c (i32x4.add (local.get $c)
          (i32x4.extadd_pairwise_i16x8_u (v128.load offset=32 align=1 (local.get $at)))))
        (local.set $d (i32x4.add (local.get $d)
          (i32x4.extadd_pairwise_i16x8_u (v128.load offset=48 align=1 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $length (i32.sub (local.get $length) (i32.const 64)))
        (br $round)))

    ;; 16 octets a round
    (block $short
      (loop $round
        (br_if $short (i32.lt_u (local.get $length) (i32.const 16)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.extadd_pairwise_i16x8_u (v128.load align=1 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $length (i32.sub (local.get $length) (i32.const 16)))
        (br $round)))

    ;; four sums to one, folded once so that what follows cannot overflow
    (local.set $a (i32x4.add (i32x4.add (local.get $a) (local.get $b)) (i32x4.add (local.get $c) (local.get $d))))
    (local.set $sum (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
      (i32.add (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 3 (local.get $a)))))
    (local.set $sum (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))

    ;; at most 15 octets: words, then the odd one
    (block $short
      (loop $round
        (br_if $short (i32.lt_u (local.get $length) (i32.const 2)))
        (local.set $sum (i32.add (local.get $sum) (i32.load16_u align=1 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (local.set $length (i32.sub (local.get $length) (i32.const 2)))
        (br $round)))
    (if (local.get $length)
      (then (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))))

    ;; fold twice, swap
    (local.set $sum (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (local.set $sum (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (i32.or
      (i32.and (i32.shl (local.get $sum) (i32.const 8)) (i32.const 0xff00))
      (i32.shr_u (local.get $sum) (i32.const 8)))))
