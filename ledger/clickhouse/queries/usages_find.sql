SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM
(
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE event_id = {id:String} AND kind = 'usage' AND subscription_id != ''
    {{- if .AccountID}} AND account_id = {account_id:String}{{end}}
    {{- if .Restricted}} AND organization_id IN {organizations:Array(String)}{{end}}
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE usage_id = {id:String} AND kind = 'revert'
    {{- if .AccountID}} AND account_id = {account_id:String}{{end}}
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
ORDER BY u.account_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
