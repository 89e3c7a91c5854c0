// Package opstest holds what the person on call has against the program: every metric, rule, panel and runbook. Its
// tests behind the build tag `ops` run Debian's prometheus and promtool (`make test-ops`): there each alert is made to
// fire by its cause. docs/adr/0030-monitoring.md.
package opstest
