-- A copy of the catalog, so that names can be joined to totals. The topic `catalog` is the truth and nothing is decided
-- here: emptied, the table is filled again within seconds. One row an entity, that of its last change; a deleted entity
-- keeps its row, so that a writer who comes late cannot bring it back.
CREATE TABLE IF NOT EXISTS {{global "catalog"}}
(
    `kind` LowCardinality(String),
    `id` String CODEC(ZSTD(1)),
    `version` UInt64 CODEC(ZSTD(1)),
    `deleted` Bool,
    `entity` String CODEC(ZSTD(1)),
    `changed_at` Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1))
)
ENGINE = {{replacing "global" "version"}}
ORDER BY (`kind`, `id`)
SETTINGS index_granularity = 2048, {{settings}};

-- The views. Keys that may be left out have their defaults here, as the catalog has them. Ids are named as in the views
-- of usage, so that USING joins them.
{{define "text"}}JSONExtractString(entity, {{.}}){{end}}
CREATE OR REPLACE VIEW {{view "catalog_organizations"}} AS
SELECT id AS organization_id, {{template "text" "'name'"}} AS name, version, changed_at
FROM catalog FINAL
WHERE kind = 'organization' AND NOT deleted;

CREATE OR REPLACE VIEW {{view "catalog_projects"}} AS
SELECT
    id AS project_id, {{template "text" "'name'"}} AS name, {{template "text" "'organization'"}} AS organization_id,
    version, changed_at
FROM catalog FINAL
WHERE kind = 'project' AND NOT deleted;

CREATE OR REPLACE VIEW {{view "catalog_accounts"}} AS
SELECT
    id AS account_id, {{template "text" "'organization'"}} AS organization_id,
    ifNull(nullIf({{template "text" "'state'"}}, ''), 'active') AS state,
    parseDateTime64BestEffortOrNull({{template "text" "'created_at'"}}, 9, 'UTC') AS created_at,
    {{template "text" "'default_subscription'"}} AS default_subscription, version, changed_at
FROM catalog FINAL
WHERE kind = 'account' AND NOT deleted;

-- A meter without a match takes no usage by itself. Metadata is as in usage_entries: what is no text is JSON.
CREATE OR REPLACE VIEW {{view "catalog_meters"}} AS
SELECT
    id AS meter, ifNull(nullIf({{template "text" "'unit'"}}, ''), 'units') AS unit,
    ifNull(nullIf({{template "text" "'type'"}}, ''), 'interval') AS meter_type,
    JSONHas(entity, 'match') = 1 AS matches, {{template "text" "'match', 'type'"}} AS match_type,
    {{template "text" "'match', 'source'"}} AS match_source,
    mapFromArrays(JSONExtractKeys(entity, 'match', 'metadata'),
        arrayMap(v -> if(startsWith(v.2, '"'), JSONExtractString(v.2), v.2), JSONExtractKeysAndValuesRaw(entity, 'match', 'metadata')))
        AS match_metadata,
    JSONExtractInt(entity, 'priority') AS priority, version, changed_at
FROM catalog FINAL
WHERE kind = 'meter' AND NOT deleted;

-- Money has up to 38 decimals in the catalog, and keeps them.
CREATE OR REPLACE VIEW {{view "catalog_plans"}} AS
SELECT
    id AS plan, ifNull(nullIf({{template "text" "'name'"}}, ''), id) AS name,
    CAST(arrayMap(p -> (JSONExtractString(p, 'meter'), toDecimal256OrZero(JSONExtractString(p, 'unit_price'), 38),
        toDecimal128OrZero(JSONExtractString(p, 'included'), 3)), JSONExtractArrayRaw(entity, 'prices')),
        'Array(Tuple(meter String, unit_price Decimal(76, 38), included Decimal(38, 3)))') AS prices,
    CAST(arrayMap(d -> (JSONExtractString(d, 'name'), toDecimal256OrZero(JSONExtractString(d, 'amount'), 38)),
        JSONExtractArrayRaw(entity, 'discounts')), 'Array(Tuple(name String, amount Decimal(76, 38)))') AS discounts,
    version, changed_at
FROM catalog FINAL
WHERE kind = 'plan' AND NOT deleted;

-- Without an anchor a period is that of the calendar, in UTC.
CREATE OR REPLACE VIEW {{view "catalog_subscriptions"}} AS
SELECT
    id AS subscription_id, {{template "text" "'account'"}} AS account_id, {{template "text" "'plan'"}} AS plan,
    {{template "text" "'meter'"}} AS meter, toDecimal128OrNull({{template "text" "'limit'"}}, 3) AS usage_limit,
    parseDateTime64BestEffortOrNull({{template "text" "'period', 'anchor'"}}, 9, 'UTC') AS period_anchor,
    ifNull(nullIf({{template "text" "'period', 'every'"}}, ''), 'month') AS period_every, version, changed_at
FROM catalog FINAL
WHERE kind = 'subscription' AND NOT deleted;

CREATE OR REPLACE VIEW {{view "catalog_installations"}} AS
SELECT
    id AS installation_id, ifNull(nullIf({{template "text" "'target'"}}, ''), 'vercel') AS target,
    {{template "text" "'account'"}} AS account_id, {{template "text" "'base_url'"}} AS base_url,
    ifNull(nullIf({{template "text" "'day_ends_at'"}}, ''), '00:00') AS day_ends_at,
    CAST(arrayMap(r -> (JSONExtractString(r, 'subscription'), JSONExtractString(r, 'resource_id'),
        parseDateTime64BestEffortOrNull(JSONExtractString(r, 'from'), 9, 'UTC'),
        parseDateTime64BestEffortOrNull(JSONExtractString(r, 'to'), 9, 'UTC')), JSONExtractArrayRaw(entity, 'resources')),
        'Array(Tuple(subscription_id String, resource_id String, start Nullable(DateTime64(9, \'UTC\')), end Nullable(DateTime64(9, \'UTC\'))))')
        AS resources,
    version, changed_at
FROM catalog FINAL
WHERE kind = 'installation' AND NOT deleted;

-- What may be done with a credential, never how: the copy holds no secret and no hash of one.
CREATE OR REPLACE VIEW {{view "catalog_credentials"}} AS
SELECT
    id AS credential_id, JSONExtract(entity, 'scopes', 'Array(String)') AS scopes,
    JSONExtract(entity, 'organizations', 'Array(String)') AS organizations, version, changed_at
FROM catalog FINAL
WHERE kind = 'credential' AND NOT deleted;
