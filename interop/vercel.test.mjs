// The partner's own SDK reports to the receiver of `reckoner dev`, which stands in for the partner.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Marketplace as OldMarketplace } from "@vercel/sdk/sdk/marketplace.js";
import { Marketplace } from "vercel-sdk-current/sdk/marketplace.js";
import { lines, toDate, withTimes } from "./payloads.mjs";
import { start } from "./server.mjs";

let server;
before(async () => { server = await start(); });
after(() => server?.stop());

/** Moves a payload to now: what it says stays, and its day has not ended yet. */
function moved(body) {
  const by = Date.now() - Date.parse(body.timestamp);
  return withTimes(body, (text) => new Date(Date.parse(text) + by).toISOString());
}

// Those whose numbers the SDK can say: more digits than a float holds are lost in JavaScript, and the receiver sees it.
const sayable = lines.filter((line) => JSON.stringify(JSON.parse(line)) === line);

test("the SDK reports to the receiver of reckoner dev, which shows what it got", async () => {
  assert.ok(sayable.length >= 50, `only ${sayable.length} payloads`);
  for (const [version, Client] of [["1.18.5", OldMarketplace], ["current", Marketplace]]) {
    const client = new Client({ serverURL: `${server.api}/partner`, bearerToken: "any" });
    for (const [i, line] of sayable.entries()) {
      const id = `icfg/${version} ${i}`;
      const body = moved(JSON.parse(line));
      await client.submitBillingData({ integrationConfigurationId: id, requestBody: withTimes(body, toDate) }); // throws unless it is 201
      const page = await fetch(`${server.api}/partner/v1/installations/${encodeURIComponent(id)}`);
      const { reports } = await page.json();
      assert.equal(reports.length, 1);
      assert.ok(reports[0].latest);
      assert.deepStrictEqual(JSON.parse(reports[0].body), body);
    }
  }
});

test("and fails where the receiver refuses", async () => {
  const client = new Marketplace({ serverURL: `${server.api}/partner`, bearerToken: "any" });
  const body = withTimes(moved(JSON.parse(sayable.find((line) => line.includes('"total":"0.00"')))), toDate);
  const request = { integrationConfigurationId: "icfg_wrong", requestBody: body };
  (body.billing.items ?? body.billing)[0].total = "1000000.00";
  await assert.rejects(client.submitBillingData(request), (err) => err.statusCode === 400 && /price × quantity is /.test(err.body));
  const none = new Marketplace({ serverURL: `${server.api}/partner` });
  await assert.rejects(none.submitBillingData(request), (err) => err.statusCode === 401);
  assert.equal((await fetch(`${server.api}/partner/v1/installations/icfg_wrong`)).status, 404);
});
