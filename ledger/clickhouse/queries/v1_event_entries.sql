{{template "v1_entry"}}
WHERE account_id = {account_id:String} AND event_id = {event_id:String}{{template "v1_page" .}}
