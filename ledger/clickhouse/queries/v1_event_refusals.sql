SELECT
    `log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id,
    toString(meter) AS meter, toUInt8(meter_type) AS meter_type, event_id, toUInt8(kind) AS kind, toString(type) AS type,
    usage_id, toString(requested) AS requested, toUInt8(outcome) AS outcome, reason, usage_time, received_at,
    toString(source) AS source, fingerprint, rules
FROM refusals FINAL
WHERE account_id = {account_id:String} AND event_id = {event_id:String}{{template "v1_page" .}}
