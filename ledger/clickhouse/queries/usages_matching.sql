{{- define "usages_matching" -}}
(
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE kind = 'usage' AND subscription_id != ''
    {{- if .Restricted}} AND organization_id IN {organizations:Array(String)}{{end}}
    {{- with .IDs}} AND event_id {{if .Not}}NOT {{end}}IN {ids:Array(String)}{{end}}
    {{- with .Subscriptions}} AND subscription_id {{if .Not}}NOT {{end}}IN {subscriptions:Array(String)}{{end}}
    {{- if .Text}} AND (positionCaseInsensitiveUTF8(event_id, {text:String}) > 0 OR positionCaseInsensitiveUTF8(subscription_id, {text:String}) > 0){{end}}
    {{- with .CreatedTime}}{{if not .Not}}
        AND received_at >= fromUnixTimestamp64Nano({created_least:Int64}, 'UTC')
        AND received_at <= fromUnixTimestamp64Nano({created_greatest:Int64}, 'UTC')
    {{- end}}
        AND {{if .Not}}NOT {{end}}arrayExists((a, b) -> toUnixTimestamp64Nano(received_at) BETWEEN a AND b, {created_from:Array(Int64)}, {created_to:Array(Int64)})
    {{- end}}
    {{- with .UsageTime}}
        AND {{if .Not}}NOT {{end}}arrayExists((a, b) -> toUnixTimestamp64Nano(usage_time) BETWEEN a AND b, {usage_from:Array(Int64)}, {usage_to:Array(Int64)})
    {{- end}}
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE kind = 'revert' AND subscription_id != ''
    {{- with .IDs}}{{if not .Not}} AND usage_id IN {ids:Array(String)}{{end}}{{end}}
    {{- with .Subscriptions}}{{if not .Not}} AND subscription_id IN {subscriptions:Array(String)}{{end}}{{end}}
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
WHERE NOT (effect != 0 AND u.quantity + effect = 0)
{{- with .Quantity}}
    AND {{if .Not}}NOT {{end}}arrayExists((a, b) -> u.quantity + effect BETWEEN a AND b,
        CAST({quantity_from:Array(String)} AS Array(Decimal(38, 3))), CAST({quantity_to:Array(String)} AS Array(Decimal(38, 3))))
{{- end}}
{{- with .UpdatedTime}}
    AND {{if .Not}}NOT {{end}}arrayExists((a, b) -> toUnixTimestamp64Nano(if(effect != 0, r.at, u.received_at)) BETWEEN a AND b, {updated_from:Array(Int64)}, {updated_to:Array(Int64)})
{{- end}}
{{- end -}}
