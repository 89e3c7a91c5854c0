SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.totals_local LIGHTWEIGHT;
