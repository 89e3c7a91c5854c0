SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.checkpoints LIGHTWEIGHT;
SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.logs LIGHTWEIGHT;
SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.entries_local LIGHTWEIGHT;
SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.refusals_local LIGHTWEIGHT;
SYSTEM SYNC REPLICA{{on_cluster}} `{{db}}`.totals_local LIGHTWEIGHT;
