// Holds the payloads of a hundred installations against the partner's own schemas, as its SDK has them: the last version that
// exports how the partner reads a body, and the current one, which says how its clients write it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SubmitBillingDataRequestBody$inboundSchema as inbound } from "@vercel/sdk/models/submitbillingdataop.js";
import { SubmitBillingDataRequestBody$outboundSchema as outbound } from "vercel-sdk-current/models/submitbillingdataop.js";
import { lines, toDate, withTimes } from "./payloads.mjs";

// What a schema made of a body, as JSON says it: keys that it does not know are gone.
const oracles = {
  "what 1.18.5 reads": (body) => JSON.parse(JSON.stringify(inbound.parse(body))),
  "what the current version writes": (body) => JSON.parse(JSON.stringify(outbound.parse(withTimes(body, toDate)))),
};

/** Says whether a schema takes a body and keeps all of it. */
function takes(oracle, body) {
  try {
    assert.deepStrictEqual(oracle(body), body);
    return true;
  } catch {
    return false;
  }
}

test("the partner's schemas take the payloads of a hundred installations, key by key", () => {
  assert.equal(lines.length, 100);
  for (const [i, line] of lines.entries()) {
    const body = JSON.parse(line);
    for (const [name, oracle] of Object.entries(oracles)) assert.deepStrictEqual(oracle(body), body, `${name}, line ${i + 1}: ${line}`);
  }
});

/** Yields every object of a payload, with how its kind is called and a way to a copy of the payload in which it can be changed. */
function* objects(body) {
  const at = (find) => { const copy = structuredClone(body); return [copy, find(copy)]; };
  yield ["the payload", () => at((b) => b)];
  yield ["the period", () => at((b) => b.period)];
  if (!Array.isArray(body.billing)) yield ["billing", () => at((b) => b.billing)];
  const items = (b) => (Array.isArray(b.billing) ? b.billing : b.billing.items);
  for (const i of items(body).keys()) yield ["an item", () => at((b) => items(b)[i])];
  for (const i of (body.billing.discounts ?? []).keys()) yield ["a discount", () => at((b) => b.billing.discounts[i])];
  for (const i of body.usage.keys()) yield ["usage", () => at((b) => b.usage[i])];
}

const optional = new Set(["resourceId", "planValue", "discounts"]);

test("and they take none with a key too many, a key too few, or a value of another kind", () => {
  const seen = new Set();
  for (const line of lines) {
    const body = JSON.parse(line);
    for (const [kind, copy] of objects(body)) {
      const wrong = { "a key more": (o) => { o.more = 1; } };
      for (const [key, value] of Object.entries(copy()[1])) {
        const only = kind === "an item" && (key === "start" || key === "end");
        if (!optional.has(key) && !only) wrong[`no ${key}`] = (o) => { delete o[key]; };
        wrong[`${key} is null`] = (o) => { o[key] = null; };
        wrong[`${key} of another kind`] = (o) => { o[key] = typeof value === "string" ? 1 : "x"; };
      }
      for (const [name, change] of Object.entries(wrong)) {
        if (seen.has(`${kind}: ${name}`)) continue;
        seen.add(`${kind}: ${name}`);
        for (const [oracleName, oracle] of Object.entries(oracles)) {
          const [changed, object] = copy();
          change(object);
          assert.ok(!takes(oracle, changed), `${oracleName} takes ${kind} with ${name}: ${JSON.stringify(changed)}`);
        }
      }
    }
  }
  assert.ok(seen.size >= 80, `only ${seen.size} ways of going wrong were tried`);
});
