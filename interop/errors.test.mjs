// Every error status that a client can provoke, and the golden request of the generated Python client, sent raw.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { basic, eventually, root, start } from "./server.mjs";

const org = "11111111-0000-4000-8000-000000000001";
const account = "33333333-0000-4000-8000-000000000001";
const usages = (account, name = org) => `/v1beta1/organizations/${name}/billing/${account}/usages`;
const short = "/v1beta1/organizations/billing/usages";
const revert = (id) => `/v1beta1/admin/organizations/${org}/billing/${account}/usage/${id}/revert`;
const one = (fields) => ({ usages: [{ id: randomUUID(), amount: 1, ...fields }] });

let server;

before(async () => {
  server = await start("--catalog", path.join(root, "interop", "catalog.yaml"));
});
after(() => server?.stop());

async function post(route, body, headers = basic(), method = "POST") {
  const text = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return fetch(server.api + route, { method, headers, body: method === "GET" ? undefined : text });
}

const cases = [
  // name, status, code, what the message holds, route, body, headers, method
  ["broken JSON", 400, 3, "", usages(account), '{"usages": ['],
  ["null", 400, 3, "", usages(account), "null"],
  ["a list", 400, 3, "", usages(account), "[]"],
  ["random bytes", 400, 3, "", usages(account), new Uint8Array(512).map((_, i) => (i * 131 + 7) % 256)],
  ["a repeated key", 400, 3, "", usages(account), '{"usages": [], "usages": []}'],
  ["both names of a key", 400, 3, "", usages(account), '{"org_id": "a", "orgId": "a", "usages": []}'],
  ["an id that is no UUID", 400, 3, "Usages[0]", usages(account), one({ id: "x" })],
  ["another type", 400, 3, "Usages[0]", usages(account), one({ type: "gold" })],
  ["amount 0", 400, 3, "value must be greater than 0", usages(account), one({ amount: 0 })],
  ["a fraction", 400, 3, "", usages(account), one({ amount: 5.5 })],
  ["a blank in a number", 400, 3, "", usages(account), one({ amount: " 5" })],
  ["past int64", 400, 3, "", usages(account), `{"usages":[{"id":"${randomUUID()}","amount":9223372036854775808}]}`],
  ["an account that is no UUID", 400, 3, "", usages("acct"), one()],
  ["project and organization", 400, 3, "both project_id and org_id cannot be provided", short,
    { org_id: org, project_id: "acme-site", ...one() }],
  ["an unknown organization", 400, 3, "no org found", usages(account, "nobody"), one()],
  ["no active account", 400, 3, "no customer found", short, { org_id: "asleep", ...one() }],
  ["old usage without the scope", 400, 3, "usage.backfill", usages(account), one({ created_at: "2020-01-01T00:00:00Z" }),
    basic("writer")],
  ["usage of the future", 400, 3, "", usages(account), one({ created_at: "2199-01-01T00:00:00Z" })],
  ["10,001 usages", 400, 3, "", usages(account), { usages: Array.from({ length: 10_001 }, () => ({ id: randomUUID(), amount: 1 })) }],
  ["one bad usage among 1,000", 400, 3, "Usages[617]", usages("33333333-0000-4000-8000-000000000002"),
    { usages: Array.from({ length: 1000 }, (_, i) => ({ id: randomUUID(), amount: i === 617 ? -1 : 1 })) }],
  ["nobody", 401, 16, "not authenticated", usages(account), one(), {}],
  ["a wrong secret", 401, 16, "not authenticated", usages(account), one(), basic("demo", "guess")],
  ["an unknown credential", 401, 16, "not authenticated", usages(account), one(), basic("nobody", "demo-secret")],
  ["without the scope", 403, 7, "not authorized", revert(randomUUID()), {}, basic("writer")],
  ["another organization", 403, 7, "not authorized", usages("33333333-0000-4000-8000-000000000003", "other"), one(), basic("writer")],
  ["an account of another organization", 403, 7, "invalid arguments", usages("33333333-0000-4000-8000-000000000003"), one()],
  ["an unknown account", 404, 5, "customer doesn't exist", usages(randomUUID()), one()],
  ["an unknown project", 404, 5, "project doesn't exist", short, { project_id: "nothing", ...one() }],
  ["an unknown usage", 404, 5, "", revert(randomUUID()), {}],
  ["an unknown path", 404, 5, "", "/v1beta1/nothing", {}],
  ["a wrong method", 501, 12, "", usages(account), {}, basic(), "PUT"],
  ["9 MiB", 413, 8, "", usages(account), "x".repeat(9 << 20)],
];

for (const [name, status, code, message, ...request] of cases) {
  test(`${name}: ${status}, code ${code}`, async () => {
    const answer = await post(...request);
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    const body = JSON.parse(text);
    assert.equal(body.code, code, text);
    assert.deepEqual(body.details, []);
    assert.ok(body.message.includes(message), text);
    assert.deepEqual(Object.keys(body).sort(), ["code", "details", "message"]);
    if (status === 401) assert.match(answer.headers.get("WWW-Authenticate"), /Basic/);
  });
}

test("nothing of all that was written, and the process goes on", async () => {
  assert.deepEqual(await server.sql("SELECT count() FROM reckoner.usage_entries"), [["0"]]);
  const answer = await post(usages(account), { usages: [] });
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), "{}");
});

test("a token works like Basic", async () => {
  const answer = await post(usages(account), { usages: [] }, { Authorization: "Bearer demo:demo-secret" });
  assert.equal(answer.status, 200);
});

test("the forms of an int64 that count", async () => {
  const forms = ["9223372036854775807", '"9223372036854775807"', '"5"', "5", "5.0", "5e2", '"5e2"'];
  const id = "33333333-0000-4000-8000-000000000002";
  for (const form of forms) {
    const answer = await post(usages(id), `{"usages":[{"id":"${randomUUID()}","amount":${form}}]}`, { ...basic(), Prefer: "wait=20" });
    assert.equal(answer.status, 200, form);
  }
  const rows = await server.sql(`SELECT quantity FROM reckoner.account_totals WHERE account_id = '${id}'`);
  assert.deepEqual(rows, [[String(2n * 9223372036854775807n + 5n + 5n + 5n + 500n + 500n)]]);
});

test("the request of the generated Python client", async () => {
  const ids = ["0B6F2C0E-7A52-4D1C-9B1C-3B6B2E9F4A10", "5a3f8f9b-2f0e-4f43-8f0a-6f6f3f1f7a11"];
  const body = JSON.stringify({
    orgId: org, billingId: account,
    usages: [
      { id: ids[0], customerId: account, source: "worker-7", description: "tokens of a caf\u00e9 chat", type: "credit", amount: "9007199254740993",
        userId: "2d3b5f6e-1111-4222-8333-444455556666", metadata: { model: "large", tokens: 1024, ratio: 0.1 },
        createdAt: "2026-06-15T11:59:58.123456+00:00", updatedAt: "2026-06-15T13:59:59+02:00" },
      { id: ids[1], amount: "5", source: "worker-7" },
    ],
  });
  const headers = { Accept: "application/json", "Content-Type": "application/json", "User-Agent": "OpenAPI-Generator/1.0.0/python", ...basic() };
  const answer = await post(usages(account), body, headers);
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), "{}");
  const query = `SELECT event_id, quantity, type, source, description, user_id, customer_id, metadata['tokens'], usage_time, updated_at
    FROM reckoner.usage_entries WHERE account_id = '${account}' AND quantity > 5`;
  await eventually("the entries", async () => (await server.sql(query)).length === 1);
  assert.deepEqual(await server.sql(query), [[
    ids[0].toLowerCase(), "9007199254740993", "credit", "worker-7", "tokens of a café chat", "2d3b5f6e-1111-4222-8333-444455556666", account, "1024",
    "2026-06-15 11:59:58.123456000", "2026-06-15 11:59:59.000000000"]]);
});
