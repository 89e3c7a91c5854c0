// The npm client of Frontier drives every operation; the figures are read by SQL.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { ApiClient } from "@raystack/frontier/api-client";
import { basic, eventually, root, start } from "./server.mjs";

const org = "11111111-0000-4000-8000-000000000001";
const first = "33333333-0000-4000-8000-000000000001";
const newest = "33333333-0000-4000-8000-000000000002";
const small = "33333333-0000-4000-8000-000000000005";
const wait = { headers: { Prefer: "wait=20" } };

let server;
let client;

before(async () => {
  server = await start("--catalog", path.join(root, "interop", "catalog.yaml"));
  client = new ApiClient({ baseUrl: server.api, securityWorker: (headers) => ({ headers }) });
  client.setSecurityData(basic());
});
after(() => server?.stop());

/** What an account's credits come to: the text of the sum, usages, reverts. */
async function credits(account) {
  const rows = await server.sql(
    `SELECT quantity, events, reverts FROM reckoner.account_totals WHERE account_id = '${account}' AND meter = 'credit'`);
  return rows[0] ?? ["0", "0", "0"];
}

async function outcome(id) {
  const rows = await server.sql(`SELECT outcome FROM reckoner.usage_entries WHERE event_id = '${id}'
    UNION ALL SELECT outcome FROM reckoner.usage_refusals WHERE event_id = '${id}' AND outcome != 'duplicate'`);
  return rows.map(([text]) => text).sort().join();
}

/** The generated client throws the Response of an error. */
async function refused(promise, status, code) {
  const answer = await promise.then(
    (ok) => assert.fail(`answered ${ok.status}`),
    (thrown) => { if (thrown instanceof Error) throw thrown; return thrown; },
  );
  assert.equal(answer.status, status);
  assert.equal(answer.error.code, code);
  assert.equal(typeof answer.error.message, "string");
  assert.deepEqual(answer.error.details, []);
}

test("create, by both routes, counts once however often it is sent", async () => {
  const [a, b] = [randomUUID(), randomUUID()];
  const one = { usages: [{ id: a, source: "interop", type: "credit", amount: "9007199254740993", metadata: { n: 1, s: "x" } }] };
  for (let i = 0; i < 2; i++) {
    const answer = await client.frontierServiceCreateBillingUsage(org, first, one);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.data, {});
  }
  // Without an account it is the organization's newest active one; a project leads to its organization.
  for (const names of [{ org_id: org }, { org_id: "acme" }, { project_id: "acme-site" }]) {
    const usages = [{ id: b, source: "interop", amount: "7" }];
    const answer = await client.frontierServiceCreateBillingUsage2({ ...names, usages }, wait);
    assert.equal(answer.data.outcomes[0].id, b);
    assert.equal(answer.data.outcomes[0].quantity, "7");
  }
  await eventually("both copies decided", async () => (await server.sql(
    `SELECT count() FROM reckoner.usage_refusals WHERE event_id = '${a}' AND outcome = 'duplicate'`))[0][0] === "1");
  assert.deepEqual(await credits(first), ["9007199254740993", "1", "0"]);
  assert.deepEqual(await credits(newest), ["7", "1", "0"]);
});

test("revert, by both routes, once", async () => {
  const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
  const usages = [a, b, c].map((id) => ({ id, source: "interop", amount: "5" }));
  await client.frontierServiceCreateBillingUsage(org, first, { usages }, wait);
  const [sum, events, reverts] = await credits(first);

  const key = { headers: { "Idempotency-Key": randomUUID() } };
  for (let i = 0; i < 3; i++) { // a retry gets its first answer again
    const answer = await client.adminServiceRevertBillingUsage(org, first, a, { amount: "2" }, key);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.data, {});
  }
  await client.adminServiceRevertBillingUsage2({ org_id: org, billing_id: first, usage_id: b });
  assert.deepEqual(await credits(first), [String(BigInt(sum) - 7n), events, String(Number(reverts) + 2)]);

  await refused(client.adminServiceRevertBillingUsage(org, first, a, {}), 400, 9); // reverted before
  await refused(client.adminServiceRevertBillingUsage(org, first, randomUUID(), {}), 404, 5); // unknown usage
  await refused(client.adminServiceRevertBillingUsage(org, first, c, { amount: "6" }), 400, 3); // more than it counted
  await refused(client.adminServiceRevertBillingUsage(org, first, c, {}, key), 409, 6); // the key was for another revert
  assert.equal(await outcome(key.headers["Idempotency-Key"]), "conflict,reverted");
  assert.deepEqual(await credits(first), [String(BigInt(sum) - 7n), events, String(Number(reverts) + 2)]);
});

test("a level cannot be reverted, and a limit is kept", async () => {
  const level = randomUUID();
  await client.frontierServiceCreateBillingUsage(org, first,
    { usages: [{ id: level, source: "object-store", type: "feature", amount: "12" }] }, wait);
  await refused(client.adminServiceRevertBillingUsage(org, first, level, {}), 400, 9);

  const [fits, over] = [randomUUID(), randomUUID()];
  const usages = [{ id: fits, amount: "8" }, { id: over, amount: "3" }];
  const answer = await client.frontierServiceCreateBillingUsage(org, small, { usages }, wait);
  assert.deepEqual(answer.data.outcomes.map((o) => o.outcome), ["applied", "limit_exceeded"]);
  assert.deepEqual(await credits(small), ["8", "1", "0"]);
});

test("transactions and the total debited", async () => {
  const account = randomUUID();
  const [a, b] = [randomUUID(), randomUUID()];
  await refused(client.frontierServiceListBillingTransactions(org, account), 404, 5);
  const usages = [
    { id: a, source: "interop", description: "first", user_id: "u", amount: "4", created_at: "2026-01-05T00:00:00Z", metadata: { n: 1.50 } },
    { id: b, source: "interop", description: "second", amount: "6", created_at: "2026-01-06T00:00:00Z" },
  ];
  const other = "33333333-0000-4000-8000-000000000003";
  await client.frontierServiceCreateBillingUsage("other", other, { usages }, wait);
  await client.adminServiceRevertBillingUsage("other", other, b, {}, { headers: { "Idempotency-Key": "take back b" } });

  const { data } = await client.frontierServiceListBillingTransactions("other", other);
  assert.deepEqual(data.transactions.map((t) => [t.type, t.amount, t.source]), [
    ["credit", "6", "system.revert.interop"], ["debit", "6", "interop"], ["debit", "4", "interop"]]);
  const oldest = data.transactions[2];
  assert.equal(oldest.id, a);
  assert.equal(oldest.description, "first");
  assert.equal(oldest.user_id, "u");
  assert.deepEqual(oldest.metadata, { n: 1.5 });
  assert.equal(new Date(oldest.created_at).toISOString(), "2026-01-05T00:00:00.000Z");
  const since = await client.frontierServiceListBillingTransactions2("other", { start_range: "2026-01-06T00:00:00Z" });
  assert.equal(since.data.transactions.length, 2);

  const debited = await client.frontierServiceTotalDebitedTransactions("other", other);
  assert.deepEqual(debited.data, { debited: { amount: "4", currency: "VC", updated_at: null } });
});

test("a conflict is told to whoever waits, and counts nothing", async () => {
  const id = randomUUID();
  await client.frontierServiceCreateBillingUsage(org, newest, { usages: [{ id, amount: "1" }] }, wait);
  const before = await credits(newest);
  const other = { usages: [{ id, amount: "2" }] };
  assert.equal((await client.frontierServiceCreateBillingUsage(org, newest, other)).status, 200); // durable, and decided later
  await refused(client.frontierServiceCreateBillingUsage(org, newest, other, wait), 409, 6);
  assert.deepEqual(await credits(newest), before);
});
