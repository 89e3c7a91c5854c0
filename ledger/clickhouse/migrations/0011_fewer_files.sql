-- Parts of fewer files, and of fewer bytes. Each file of a part is synced by itself, and who waits for an outcome waits for that.
-- Texts in one stream instead of two, their lengths and their bytes: nothing asks for lengths alone, and it takes a seventh
-- less of the disk. No sparse columns: a column of defaults compresses to next to nothing. Marks of whole columns, since
-- nothing reads a part of one. No statistics of checkpoints, as of the other tables.
-- docs/adr/0026-write-path.md has the figures. What was written before keeps its form until it is merged.
ALTER TABLE {{table "entries"}} MODIFY SETTING serialization_info_version = 'basic', ratio_of_defaults_for_sparse_serialization = 1, write_marks_for_substreams_in_compact_parts = 0;
ALTER TABLE {{table "refusals"}} MODIFY SETTING serialization_info_version = 'basic', ratio_of_defaults_for_sparse_serialization = 1, write_marks_for_substreams_in_compact_parts = 0;
ALTER TABLE {{table "totals"}} MODIFY SETTING serialization_info_version = 'basic', ratio_of_defaults_for_sparse_serialization = 1, write_marks_for_substreams_in_compact_parts = 0;
ALTER TABLE {{global "checkpoints"}} MODIFY SETTING serialization_info_version = 'basic', ratio_of_defaults_for_sparse_serialization = 1, write_marks_for_substreams_in_compact_parts = 0, auto_statistics_types = '';
