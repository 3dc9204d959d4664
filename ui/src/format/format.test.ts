import { expect, test } from "vitest";
import { attos, exact, lineMoney, money, total } from "./money";
import { change, compact, duration, percent } from "./number";

test("money is read and written without a float", () => {
  expect(attos("0.000000000000000001")).toBe(1n);
  expect(attos("-12.5")).toBe(-12_500_000_000_000_000_000n);
  expect(exact("123456789012345678.000000000000000001")).toBe("$123456789012345678.000000000000000001");
});

test("small amounts never read as nothing", () => {
  expect(money("0.00000003")).toBe("<$0.0001");
  expect(money("0")).toBe("$0.00");
  expect(money("0.0215")).toBe("$0.0215");
  expect(money("3.2")).toBe("$3.20");
  expect(lineMoney("0.000000125")).toBe("$0.00000013");
  expect(lineMoney("0.000576")).toBe("$0.000576");
});

test("totals are as wide as they need to be", () => {
  expect(total("154.376")).toBe("$154.38");
  expect(total("12480.2")).toBe("$12,480");
  expect(total("0.0021")).toBe("$0.0021");
  expect(money("1.5", "CNY")).toBe("CNY 1.50");
  expect(money("-3.2")).toBe("−$3.20");
});

test("shares never round to all or to none", () => {
  expect(percent(9999, 10000)).toBe(">99.9 %");
  expect(percent(1, 10000)).toBe("<0.1 %");
  expect(percent(1, 2)).toBe("50.0 %");
  expect(percent(0, 0)).toBe("–");
});

test("changes and durations", () => {
  expect(change(112.4, 100)).toBe("+12.4 %");
  expect(change(1, 0)).toBe("new");
  expect(duration(642)).toBe("642 ms");
  expect(duration(4590)).toBe("4.59 s");
  expect(duration(112_320_000)).toBe("31 h 12 m");
  expect(compact(2_420_000_000)).toBe("2.42B");
});
