package config

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"
)

// flagConfig names the settings file; it is no key.
const flagConfig = "config"

// flagKeys are the keys that have a flag, by flag.
func flagKeys() map[string]string {
	return map[string]string{
		"listen":            "listen",
		"ops-listen":        "ops_listen",
		"data-dir":          "data_dir",
		"log-level":         "log.level",
		"brokers":           "kafka.brokers",
		"kafka-listen":      "kafka.listen",
		"clickhouse":        "clickhouse.url",
		"clickhouse-listen": "clickhouse.listen",
		"catalog":           "catalog.file",
	}
}

func flagOf(name string) string {
	for flag, key := range flagKeys() {
		if key == name {
			return flag
		}
	}
	return ""
}

// AddFlags adds flags of the given names, all of them when none is given. A flag that does not exist is a mistake of
// the program, and panics.
func AddFlags(fs *pflag.FlagSet, names ...string) {
	keys := Describe()
	if len(names) == 0 {
		names = append(names, flagConfig)
		for _, k := range keys {
			if k.Flag != "" {
				names = append(names, k.Flag)
			}
		}
	}
	for _, name := range names {
		if name == flagConfig {
			fs.String(name, "", fmt.Sprintf("settings `file` (default: %s, if there is one)", DefaultFile))
			continue
		}
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Flag == name })
		if i < 0 {
			panic(fmt.Sprintf("config: there is no flag %q", name))
		}
		fs.String(name, keys[i].Default, fmt.Sprintf("%s (setting %s)", firstSentence(keys[i].Reason), keys[i].Name))
	}
}
