// Package crash ends the process at a chosen step, as a power cut would. It is how tests prove that a crash between
// any two steps changes nothing. Without the environment variable it does nothing. docs/adr/0011-faults.md.
package crash

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Env names the environment variable: component:step:n ends the process when the component announces the step for the
// n-th time since the process started, before anything of that step is done. Never set it where usage counts: it loses
// nothing, and serves nobody.
const Env = "RECKONER_CRASH_AT"

// Steps are the steps that can be crashed at, by component, in their order.
type Steps map[string][]string

// Point is the step at which the process ends. The nil Point never comes.
type Point struct {
	component, step string
	left            atomic.Int64 // announcements until the end
	log             *slog.Logger
	die             func()
}

// Parse returns the point that text names, nil when it is empty. A component or step that is not among those known, or
// a number below 1, is an error that says what is allowed: a crash test that never crashes proves nothing.
func Parse(text string, known Steps, log *slog.Logger) (*Point, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 || !slices.Contains(known[parts[0]], parts[1]) {
		return nil, fmt.Errorf("%s=%q: want component:step:n with one of %s, or unset it", Env, text, known)
	}
	n, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("%s=%q: the third part is no number of 1 or more", Env, text)
	}
	p := &Point{component: parts[0], step: parts[1], log: log, die: kill}
	p.left.Store(n)
	log.Warn("this process will kill itself", "component", p.component, "step", p.step, "time", n, "because", Env)
	return p, nil
}

// At returns what a component calls before each of its steps, with the step's name; nil when it has nothing to fear.
// Steps may be announced by several goroutines.
func (p *Point) At(component string) func(step string) {
	if p == nil || p.component != component {
		return nil
	}
	return func(step string) {
		if step == p.step && p.left.Add(-1) == 0 {
			p.log.Warn("killing this process", "component", component, "step", step, "because", Env)
			p.die()
		}
	}
}

// kill ends the process at once: no deferred call runs, nothing is flushed. It never returns.
func kill() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill() // when it fails the step must not be taken all the same
	}
	select {}
}

// String lists component:step.
func (s Steps) String() string {
	var all []string
	for _, component := range slices.Sorted(maps.Keys(s)) {
		for _, step := range s[component] {
			all = append(all, component+":"+step)
		}
	}
	return strings.Join(all, ", ")
}
