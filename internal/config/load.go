package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// DefaultFile is the settings file where none is named. It need not exist.
const DefaultFile = "configs/reckoner.yaml"

// Environment variables that begin with RECKONER_ and are no keys.
const (
	envConfig  = envPrefix + "CONFIG"   // the settings file
	envLibrary = envPrefix + "LIBCHDB"  // the embedded ClickHouse's library
	envCrash   = envPrefix + "CRASH_AT" // the step at which a test wants the process to die: package crash
)

// Source is where settings come from.
type Source struct {
	Flags    *pflag.FlagSet    // those of AddFlags; only the ones that were given count. May be nil.
	Environ  []string          // as os.Environ returns it
	File     string            // the settings file; empty: --config, else RECKONER_CONFIG, else DefaultFile if it exists
	Defaults map[string]string // of a command, by key, in place of the table's
}

// EmbeddedDefaults are the defaults of commands with embedded engines: one machine, few partitions, nobody to wait for.
func EmbeddedDefaults() map[string]string {
	return map[string]string{"kafka.partitions": "4", "aggregator.restore_delay": "0", "report.jitter": "0"}
}

// Load reads the settings. The error joins everything that is wrong, and names the key, the value and what is allowed.
func Load(src Source) (*Settings, error) {
	keys := table()
	env, envErr := environment(src.Environ, keys)
	path, required := settingsFile(src, env)
	file, fileErr := readFile(path, required, keys)
	errs := []error{envErr, fileErr}

	v := viper.New()
	for _, k := range keys {
		v.SetDefault(k.Name, k.Default)
	}
	for name, value := range src.Defaults {
		v.SetDefault(name, value)
	}
	if err := v.MergeConfigMap(maps.Clone(file)); err != nil {
		errs = append(errs, err)
	}
	s := &Settings{}
	for i := range keys {
		k := &keys[i]
		origin := override(v, k, src.Flags, env)
		if origin == "" && v.InConfig(k.Name) {
			origin = path
		}
		e, err := apply(s, k, v.Get(k.Name), origin)
		s.inForce = append(s.inForce, e)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := s.agree(); err != nil {
		return nil, err
	}
	return s, nil
}

// override puts a flag, or else an environment variable, before the file, and says which.
func override(v *viper.Viper, k *key, flags *pflag.FlagSet, env map[string]string) (origin string) {
	if flags != nil && k.Flag != "" {
		if f := flags.Lookup(k.Flag); f != nil && f.Changed {
			v.Set(k.Name, f.Value.String())
			return "--" + k.Flag
		}
	}
	if value, ok := env[k.Env()]; ok {
		v.Set(k.Name, value)
		return k.Env()
	}
	return ""
}

// apply sets one key.
func apply(s *Settings, k *key, value any, origin string) (entry, error) {
	text, err := textOf(value)
	e := entry{name: k.Name, value: k.shown(text), origin: origin}
	if err == nil {
		err = k.set(s, text)
	}
	if err == nil {
		return e, nil
	}
	from := ""
	if origin != "" {
		from = " (from " + origin + ")"
	}
	return e, fmt.Errorf("%s: %q%s: %w: want %s", k.Name, e.value, from, err, k.Allowed)
}

// textOf returns a value of the settings file as it would be written elsewhere.
func textOf(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case int, int64, uint64, bool:
		return fmt.Sprint(v), nil
	case []any:
		texts := make([]string, 0, len(v))
		for _, one := range v {
			text, err := textOf(one)
			if err != nil {
				return "", err
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, ","), nil
	default:
		return fmt.Sprint(v), errors.New("neither text nor a whole number nor a list of them")
	}
}

// environment returns the RECKONER_ variables, and refuses those that nobody reads: a misspelt name would otherwise be
// a default that no one notices.
func environment(environ []string, keys []key) (map[string]string, error) {
	known := map[string]bool{envConfig: true, envLibrary: true, envCrash: true}
	for i := range keys {
		known[keys[i].Env()] = true
	}
	env := make(map[string]string)
	var errs []error
	for _, one := range environ {
		name, value, _ := strings.Cut(one, "=")
		switch {
		case !strings.HasPrefix(name, envPrefix):
		case !known[name]:
			errs = append(errs, fmt.Errorf("environment variable %s: no setting has that name%s", name,
				meant(name, slices.Sorted(maps.Keys(known)))))
		default:
			env[name] = value
		}
	}
	return env, errors.Join(errs...)
}

// settingsFile returns the file to read, and whether it must exist.
func settingsFile(src Source, env map[string]string) (path string, required bool) {
	if src.File != "" {
		return src.File, true
	}
	if src.Flags != nil {
		if f := src.Flags.Lookup(flagConfig); f != nil && f.Changed {
			return f.Value.String(), true
		}
	}
	if path := env[envConfig]; path != "" {
		return path, true
	}
	return DefaultFile, false
}

// readFile returns the settings of a file, without those that are null.
func readFile(path string, required bool, keys []key) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	known, sections := make(map[string]bool, len(keys)), make(map[string]string)
	for i := range keys {
		known[keys[i].Name] = true
		if section, _, ok := strings.Cut(keys[i].Name, "."); ok && sections[section] == "" {
			sections[section] = keys[i].Name
		}
	}
	settings := withoutNulls(v.AllSettings())
	var errs []error
	for _, name := range slices.Sorted(slices.Values(v.AllKeys())) {
		value, example := v.Get(name), sections[name]
		switch {
		case known[name], example != "" && value == nil: // all keys of the section are commented out
		case example != "":
			errs = append(errs, fmt.Errorf("settings file %s: %s is a section, and has the value %q: write its settings below it, such as %s",
				path, name, fmt.Sprint(value), example))
			delete(settings, name) // else each of its settings would be wrong too
		default:
			errs = append(errs, fmt.Errorf("settings file %s: no setting is named %s%s", path, name,
				meant(name, slices.Sorted(maps.Keys(known)))))
		}
	}
	return settings, errors.Join(errs...)
}

func withoutNulls(m map[string]any) map[string]any {
	maps.DeleteFunc(m, func(_ string, v any) bool {
		if inner, ok := v.(map[string]any); ok {
			withoutNulls(inner)
		}
		return v == nil
	})
	return m
}

// meant suggests the name that shares the longest beginning or end with a wrong one, if it shares much.
func meant(name string, known []string) string {
	best, most := "", len(name)/2
	for _, k := range known {
		n := 0
		for n < min(len(name), len(k)) && name[n] == k[n] {
			n++
		}
		end := 0
		for end < min(len(name), len(k))-n && name[len(name)-1-end] == k[len(k)-1-end] {
			end++
		}
		if n+end > most {
			best, most = k, n+end
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}
