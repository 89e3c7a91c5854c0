INSERT INTO logs (`number`, topic, partitions, registered_at, starts, lost_partitions, lost_from, lost_to, lost_records, lost_causes)
SELECT
    {number:UInt32}, {topic:String}, {partitions:Int32}, fromUnixTimestamp64Nano({registered_at:Int64}, 'UTC'), {starts:Array(Int64)},
    {lost_partitions:Array(Int32)}, {lost_from:Array(Int64)}, {lost_to:Array(Int64)}, {lost_records:Array(Int64)}, {lost_causes:Array(String)}
