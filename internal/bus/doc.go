// Package bus is Reckoner's Kafka: the only importer of a Kafka client, and no type of that client is in its API.
//
// What it adds to the client are refusals. A produce succeeds only when every in-sync replica has every record. A
// reader never skips an offset in silence. A group ends every wait with its generation. Each failure says whether
// trying again can help (Retryable) and whether something may have been stored all the same (UnknownError).
package bus
