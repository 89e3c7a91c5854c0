// The npm client of Rebilly drives usages of subscriptions; the figures are read by SQL.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { RebillyAPI, RebillyErrors } from "rebilly-js-sdk";
import { root, start } from "./server.mjs";

const acme = "11111111-0000-4000-8000-000000000001";

let server;
let api; // of the organization acme, in the path
let everywhere; // without an organization in the path
before(async () => {
  server = await start("--catalog", path.join(root, "interop", "catalog.yaml"));
  api = client({ organizationId: acme });
  everywhere = client();
});
after(() => server?.stop());

const client = (options = {}) => RebillyAPI({
  apiKey: "demo:demo-secret", sandbox: false, timeout: 30_000, urls: { live: server.api, sandbox: server.api }, ...options,
});

/** The promise fails with one class of the SDK's errors, and with a problem of that status. Returns the error. */
async function refused(promise, name, status) {
  const err = await promise.then((ok) => assert.fail(`answered ${ok.response.status} ${JSON.stringify(ok.fields)}`), (thrown) => thrown);
  assert.ok(err instanceof RebillyErrors[name], `${err.name}: ${err.message}`);
  assert.equal(err.name, name, err.message);
  assert.equal(err.status, status);
  const problem = err.response.data;
  assert.equal(problem.status, status);
  assert.equal(err.message, problem.detail);
  for (const key of ["type", "title", "detail", "instance"]) assert.equal(typeof problem[key], "string", key);
  return err;
}

/** What a subscription has used: the text of the sum, usages, reverts. */
async function total(subscription) {
  const rows = await server.sql(
    `SELECT sum(quantity), sum(events), sum(reverts) FROM reckoner.subscription_totals WHERE subscription_id = '${subscription}'`);
  return rows[0];
}

test("create, get, list and delete, with and without the organization in the path", async () => {
  for (const [via, prefix] of [[api, `/organizations/${acme}`], [everywhere, ""]]) {
    const usageTime = new Date(Date.now() - 3_600_000);
    const made = await via.usages.create({ data: { subscriptionId: "sub_open", quantity: 12.345, usageTime, planId: "of old clients" } });
    assert.equal(made.response.status, 201);
    const { id } = made.fields;
    assert.match(id, /^usg_/);
    assert.equal(made.response.headers.location, `${prefix}/usages/${id}`);
    assert.deepEqual(
      { ...made.fields, createdTime: undefined, updatedTime: undefined, usageTime: undefined },
      { id, subscriptionId: "sub_open", quantity: 12.345, usageTime: undefined, invoiceId: null, invoiceItemId: null, createdTime: undefined,
        updatedTime: undefined, _links: [{ href: `${prefix}/usages/${id}`, rel: "self" }] });
    assert.equal(new Date(made.fields.usageTime).getTime(), usageTime.getTime());
    assert.ok(Math.abs(new Date(made.fields.createdTime) - Date.now()) < 60_000);

    assert.deepEqual((await via.usages.get({ id })).fields, made.fields); // at once, for its outcome was waited for
    const found = await via.usages.getAll({ filter: `id:${id}` });
    assert.deepEqual(found.items.map((item) => item.fields), [made.fields]);
    assert.deepEqual([found.total, found.limit, found.offset], [1, 100, 0]);

    const gone = await via.usages.delete({ id });
    assert.equal(gone.response.status, 204);
    await refused(via.usages.get({ id }), "RebillyNotFoundError", 404);
    assert.equal((await via.usages.getAll({ filter: `id:${id}` })).total, 0);
    await refused(via.usages.delete({ id }), "RebillyConflictError", 409);
  }
  assert.deepEqual(await total("sub_open"), ["0", "2", "2"]);
});

test("a limit, and partial quantities", async () => {
  const use = (quantity, more) => api.usages.create({ data: { subscriptionId: "sub_calls", quantity, ...more } });
  const partial = { acceptPartialQuantity: true };
  const first = await use(4.002);
  assert.equal(first.fields.quantity, 4.002);
  await refused(use(6.004), "RebillyConflictError", 409);
  const rest = await use(6.004, partial);
  assert.equal(rest.fields.quantity, 6.003);
  await refused(use(0.001), "RebillyConflictError", 409);
  await refused(use(0.001, partial), "RebillyConflictError", 409);
  assert.deepEqual(await total("sub_calls"), ["10.005", "2", "0"]);

  await api.usages.delete({ id: first.fields.id }); // gives its room back
  assert.equal((await use(4.002)).fields.quantity, 4.002);
  await refused(use(0.001), "RebillyConflictError", 409);
  assert.deepEqual(await total("sub_calls"), ["10.005", "3", "1"]);
});

test("an id makes a retry repeat the first answer", async () => {
  const data = { id: `order-${randomUUID()}`, subscriptionId: "sub_small", quantity: 7 };
  const first = await api.usages.create({ data });
  for (let i = 0; i < 2; i++) {
    const again = await api.usages.create({ data });
    assert.equal(again.response.status, 201);
    assert.deepEqual(again.fields, first.fields);
  }
  await refused(api.usages.create({ data: { ...data, quantity: 8 } }), "RebillyConflictError", 409);
  assert.deepEqual(await total("sub_small"), ["7", "1", "0"]);
});

test("lists: filter, sort, limit, offset, and totals from the headers", async () => {
  const made = [];
  const before = (await api.usages.getAll({ filter: "subscriptionId:sub_open" })).total;
  assert.equal(before, 0); // what was deleted is not listed
  for (let i = 1; i <= 12; i++) {
    const data = { id: `list-${String(i).padStart(2, "0")}`, subscriptionId: "sub_open", quantity: i / 1000, usageTime: new Date(Date.UTC(2026, 0, i)) };
    made.push((await api.usages.create({ data })).fields);
  }
  const ids = async (query) => {
    const all = await api.usages.getAll(query);
    return [all.items.map((item) => item.fields.id.replace("list-", "")).join(), all.total, all.limit, all.offset];
  };
  const filter = "subscriptionId:sub_open,sub_none";
  assert.deepEqual(await ids({ filter, sort: ["-quantity"], limit: 5, offset: 0 }), ["12,11,10,09,08", 12, 5, 0]);
  assert.deepEqual(await ids({ filter, sort: ["-quantity"], limit: 5, offset: 10 }), ["02,01", 12, 5, 10]);
  assert.deepEqual(await ids({ filter, sort: "usageTime", limit: 3 }), ["01,02,03", 12, 3, 0]);
  assert.deepEqual(await ids({ filter, limit: 0 }), ["", 12, 0, 0]);
  assert.deepEqual(await ids({ filter, offset: 100 }), ["", 12, 100, 100]);
  assert.deepEqual(await ids({ filter: `${filter};quantity:0.003..0.005`, sort: ["-id"] }), ["05,04,03", 3, 100, 0]);
  assert.deepEqual(await ids({ filter: "id:list-02,list-07,nothing", sort: ["id"] }), ["02,07", 2, 100, 0]);
  assert.deepEqual(await ids({ filter: `${filter};usageTime:2026-01-02T00:00:00Z..2026-01-03T00:00:00Z`, sort: ["id"] }), ["02,03", 2, 100, 0]);
  assert.deepEqual(await ids({ q: "LIST-1", sort: ["createdTime"] }), ["10,11,12", 3, 100, 0]);
  const page = await api.usages.getAll({ filter, sort: ["id"], limit: 12 });
  assert.deepEqual(page.items.map((item) => item.fields), made);
  assert.equal((await total("sub_open"))[0], "0.078");

  const err = await refused(api.usages.getAll({ filter: "price:1", sort: ["-price"], limit: 1001 }), "RebillyValidationError", 422);
  assert.deepEqual(err.invalidFields.map((f) => f.field), ["filter", "sort", "limit"]);
});

test("what is not valid names every field", async () => {
  const err = await refused(api.usages.create({ data: { quantity: 0, usageTime: "yesterday" } }), "RebillyValidationError", 422);
  assert.deepEqual(err.invalidFields.map((f) => f.field).sort(), ["quantity", "subscriptionId", "usageTime"]);
  for (const field of err.invalidFields) assert.equal(typeof field.message, "string");
  for (const quantity of [0.1 + 0.2, 1.0001, -1, "5", 1e30, null]) {
    const wrong = await refused(api.usages.create({ data: { subscriptionId: "sub_open", quantity } }), "RebillyValidationError", 422);
    assert.deepEqual(wrong.invalidFields.map((f) => f.field), ["quantity"], `${quantity}`);
  }
  for (const subscriptionId of ["nothing", "sub_bare", "sub_other"]) { // sub_other is another organization's
    const wrong = await refused(api.usages.create({ data: { subscriptionId, quantity: 1 } }), "RebillyValidationError", 422);
    assert.deepEqual(wrong.invalidFields.map((f) => f.field), ["subscriptionId"], subscriptionId);
  }
});

test("the classes of the other errors", async () => {
  await refused(api.usages.get({ id: "usg_nothing" }), "RebillyNotFoundError", 404);
  await refused(api.usages.delete({ id: "usg_nothing" }), "RebillyNotFoundError", 404);
  await refused(client({ apiKey: "demo:guess" }).usages.getAll(), "RebillyForbiddenError", 401); // as the SDK calls it
  await refused(client({ apiKey: null }).usages.getAll(), "RebillyForbiddenError", 401);
  const writer = client({ apiKey: "writer:demo-secret" });
  await refused(writer.usages.getAll(), "RebillyRequestError", 403); // may write, not read
  const turned = client();
  turned.addRequestInterceptor({ thenDelegate: (config) => ({ ...config, method: "put" }) });
  const err = await refused(turned.usages.create({ data: { subscriptionId: "sub_open", quantity: 1 } }), "RebillyMethodNotAllowedError", 405);
  assert.match(err.response.headers.allow, /POST/);
  await refused(api.usages.create({ data: "x".repeat(9 << 20) }), "RebillyRequestError", 413);

  const made = await client({ organizationId: "other" }).usages.create({ data: { subscriptionId: "sub_other", quantity: 2 } });
  await refused(api.usages.get({ id: made.fields.id }), "RebillyNotFoundError", 404); // acme does not have it
  assert.equal((await everywhere.usages.get({ id: made.fields.id })).fields.quantity, 2);
});

test("a token works like a key", async () => {
  const bearer = client({ apiKey: null });
  bearer.setSessionToken("demo:demo-secret");
  assert.equal((await bearer.usages.getAll({ limit: 1 })).limit, 1);
});
