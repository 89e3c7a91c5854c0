package app

import (
	"runtime/debug"

	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/awsmarketplace"
	"reckoner/ledger/report/partner/vercel"
)

// reportTargets returns the partners that this build can report to.
func (p *Process) reportTargets() []partner.Target {
	s := &p.Settings.Report
	return []partner.Target{
		vercel.New(vercel.Options{Concurrency: s.Concurrency + s.SlowConcurrency, DeliveryTimeout: s.DeliveryTimeout, Version: buildVersion()}),
		awsmarketplace.New(awsmarketplace.Options{}),
	}
}

// targetsByName is reportTargets, to look one up.
func (p *Process) targetsByName() map[string]partner.Target {
	by := make(map[string]partner.Target)
	for _, t := range p.reportTargets() {
		by[t.Name()] = t
	}
	return by
}

// buildVersion is what partners are told of this program; empty: not known.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}
