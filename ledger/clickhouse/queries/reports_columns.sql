{{- define "reports_columns" -}}
    installation_id, toString(target) AS target, account_id, `timestamp`, reporter, moment, day_start, eod, period_start, period_end,
    as_of_log, as_of_partition, as_of_offset, as_of_index, lag_nanoseconds, stale, rules, {{if .Light}}'' AS {{end}}inputs,
    scope_subscriptions, scope_starts, scope_ends, {{if .Light}}'' AS {{end}}state, {{if .Light}}'' AS {{end}}payload, figures, attempt,
    sent_at, toUInt8(r.status) AS status, code, response, error, revision
{{- end -}}
