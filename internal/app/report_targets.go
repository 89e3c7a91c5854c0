package app

import "reckoner/ledger/report/partner"

// reportTargets returns the partners that this build can report to, by name.
func (p *Process) reportTargets() map[string]partner.Target {
	return map[string]partner.Target{}
}
