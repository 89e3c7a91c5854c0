package config

import "strings"

// Key is what is known of a setting. Describe returns all of them.
type Key struct {
	Name    string // as in ingest.max_age
	Default string // as it would be written
	Unit    string // empty where the value says it, as a duration does
	Allowed string
	Reason  string
	Flag    string // without its dashes; empty: none
}

// envPrefix begins the environment variable of every key.
const envPrefix = "RECKONER_"

// Env is the environment variable of the key: RECKONER_INGEST_MAX_AGE of ingest.max_age.
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// key is a Key that can be set.
type key struct {
	Key
	set    func(s *Settings, text string) error
	redact func(text string) string // nil: there is no secret in it
}

// shown returns a value as it may be shown.
func (k *key) shown(text string) string {
	if k.redact == nil {
		return text
	}
	return k.redact(text)
}

// row makes a key of a field of Settings and the rule that its text follows.
func row[T any](name, def, unit string, at func(*Settings) *T, r rule[T], reason string) key {
	return key{
		Key: Key{Name: name, Default: def, Unit: unit, Allowed: r.allowed, Reason: reason, Flag: flagOf(name)},
		set: func(s *Settings, text string) error {
			v, err := r.parse(text)
			if err == nil {
				*at(s) = v
			}
			return err
		},
	}
}

// Describe returns every key, in the order of the documentation.
func Describe() []Key {
	keys := make([]Key, 0, 64)
	for _, k := range table() {
		keys = append(keys, k.Key)
	}
	return keys
}

func table() []key {
	var all []key
	for _, section := range [][]key{
		processKeys(), kafkaKeys(), clickhouseKeys(), catalogKeys(), ingestKeys(), serverKeys(), aggregatorKeys(),
		auditKeys(), reportKeys(), lifeKeys(),
	} {
		all = append(all, section...)
	}
	return all
}
