SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.reports_local LIGHTWEIGHT;
SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.report_claims LIGHTWEIGHT;
