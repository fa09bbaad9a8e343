// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { amount, credits, duration, inMeasure, measureName, number, percent, price, priceInMeasure } from "../src/format.js";

const memory = { kind: "memory", unit_size: 1048576 };
const cpu = { kind: "cpu", unit_size: 10 };

test("digits that say something, and no exponent", () => {
  assert.equal(number(0), "0");
  assert.equal(number(0.000135), "0.000135");
  assert.equal(number(0.00000004), "0.00000004");
  assert.equal(number(12.3456), "12.3");
  assert.equal(number(-12.3456), "-12.3");
  assert.equal(number(999.6), "1\u202f000");
  assert.equal(number(1234567), "1\u202f234\u202f567");
  assert.equal(number(NaN), "–");
});

test("credits, not micro-credits", () => {
  assert.equal(credits(1_500_000), "1.5 cr");
  assert.equal(credits(20), "0.00002 cr");
  assert.equal(credits(9_007_199_254_740_991), "9\u202f007\u202f199\u202f255 cr");
});

test("units in the measure of their kind", () => {
  assert.equal(amount(50, memory), "50 MiB");
  assert.equal(amount(3536, memory), "3.45 GiB");
  assert.equal(amount(0, memory), "0 GiB");
  assert.equal(amount(100, cpu), "1 core");
  assert.equal(amount(63, cpu), "0.63 cores");
  assert.equal(amount(3, { kind: "new-kind", unit_size: 2 }), "6 units");
  assert.equal(inMeasure(2048, memory), 2);
  assert.equal(inMeasure(150, cpu), 1.5);
});

test("prices for a GiB or a core", () => {
  // 135 micro-credits for a MiB are 0.13824 credits for a GiB.
  assert.ok(Math.abs(priceInMeasure(135, memory) - 0.13824) < 1e-12);
  assert.equal(price(135, memory), "0.138 cr");
  assert.equal(price(200, cpu), "0.02 cr");
  // On a machine of less than a GiB, for a MiB.
  const small = { ...memory, capacity_units: 48 };
  assert.equal(measureName(small), "MiB");
  assert.equal(measureName({ ...memory, capacity_units: 1024 }), "GiB");
  assert.equal(price(135, small), "0.000135 cr");
  assert.equal(inMeasure(12, small), 12);
  assert.equal(amount(0, small), "0 MiB");
});

test("times and parts", () => {
  assert.equal(duration(700), "0.7 s");
  assert.equal(duration(65_000), "65 s");
  assert.equal(duration(-600_000), "10 min");
  assert.equal(percent(1, 3), "33 %");
  assert.equal(percent(1, 0), "–");
});
