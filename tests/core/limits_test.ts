import assert from "node:assert/strict";
import { SourceLimiter, TokenBucket } from "../../lib/core/limits.ts";
import { SeededRandom } from "./harness.ts";

const taken = (take: () => boolean, times: number) => Array.from({ length: times }, take).filter((ok) => ok).length;

Deno.test("[ICM-03] a token bucket lets a burst through and then its rate, no more", () => {
  const bucket = new TokenBucket(10, 5);
  assert.equal(taken(() => bucket.take(1000), 20), 5);
  assert.equal(bucket.take(1099), false);
  assert.equal(bucket.take(1100), true);
  assert.equal(bucket.take(1100), false);
  assert.equal(taken(() => bucket.take(100_000), 20), 5, "a long pause fills it only up to the burst");
  let sum = 0;
  for (let now = 100_000; now < 110_000; now += 10) if (bucket.take(now)) sum++;
  assert.ok(sum >= 99 && sum <= 100, `${sum} in 10 s at 10 a second`);
});

Deno.test("time that goes back gives a bucket nothing", () => {
  const bucket = new TokenBucket(1000, 1);
  assert.equal(bucket.take(5000), true);
  assert.equal(bucket.take(4000), false);
  assert.equal(bucket.take(5000), false);
});

Deno.test("each source has a bucket of its own", () => {
  const limiter = new SourceLimiter({ perSecond: 2, burst: 4, slots: 64, random: new SeededRandom() });
  assert.equal(taken(() => limiter.take(0xc0000201, 0), 10), 4);
  assert.equal(taken(() => limiter.take(0xc0000202, 0), 10), 4);
  assert.equal(limiter.take(0xc0000201, 499), false);
  assert.equal(limiter.take(0xc0000201, 500), true);
  assert.equal(limiter.take(0xc0000201, 500), false);
});

Deno.test("a crowd of sources does not take tokens from one that behaves", () => {
  const limiter = new SourceLimiter({ perSecond: 1, burst: 1, slots: 16, random: new SeededRandom() });
  for (let now = 0; now < 60_000; now += 2000) {
    for (let i = 0; i < 500; i++) limiter.take(0xc6336400 + i, now);
    assert.equal(limiter.take(0xcb007101, now + 1), true);
  }
});
