{{- define "v1_level" -}}
multiIf(
            meter_type = 'interval', sum(quantity),
            meter_type = 'total', argMax(quantity, (last_use, reading_log, reading_offset, reading_index)),
            max(quantity))
{{- end -}}
{{- define "v1_subject" -}}
account_id = {account_id:String}{{if .SubscriptionID}} AND subscription_id = {subscription_id:String}{{end}}
{{- end -}}
