INSERT INTO report_claims (installation_id, reporter, `timestamp`)
