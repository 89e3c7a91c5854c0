package app

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"reckoner/internal/bus"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/report/partner/vercel/receiver"
)

// partnerPath is where the built-in receiver is, on the port of the API.
const partnerPath = "/partner"

// ingestAndReport starts the HTTP tier and the reporter in one process. Installations without a base_url are reported to a
// receiver in this process, unless report.default_base_url names another.
func (p *Process) ingestAndReport(ctx context.Context, client *bus.Client, l *clickhouse.Ledger, d *document) error {
	runs := newReportRuns()
	partner := besidePartner(receiver.New(receiver.Options{}))
	t, err := p.ingest(ctx, client, l, d, beside{runs: runs, handler: partner})
	if err != nil {
		return err
	}
	base := p.Settings.Report.DefaultBaseURL
	if base == "" {
		if base, err = p.partnerURL(t.addr, partner(http.NotFoundHandler())); err != nil {
			return err
		}
	}
	r, err := p.reporter(client, l, t.catalog.Current, base)
	if err != nil {
		return err
	}
	p.report(r, runs)
	p.Log.Info("reports of installations without a base_url", "url", base+"/")
	return nil
}

// partnerURL is where the reporter reaches the built-in receiver: on the port of the API, or, where that one encrypts and so asks
// for what the reporter does not have, on a port of loopback that nobody else is told.
func (p *Process) partnerURL(api string, partner http.Handler) (string, error) {
	if p.Settings.TLS.CertFile == "" {
		return "http://" + reachable(api) + partnerPath, nil
	}
	limits := p.limits()
	addr, err := serve(p.Lifecycle, "built-in receiver of reports", "report.default_base_url", "127.0.0.1:0", &http.Server{
		Handler: partner, ReadHeaderTimeout: limits.ReadHeaderTimeout, IdleTimeout: limits.IdleTimeout, MaxHeaderBytes: limits.HeaderBytesMax,
	})
	if err != nil {
		return "", err
	}
	return "http://" + addr + partnerPath, nil
}

// besidePartner serves a receiver below its path, and the tier everywhere else.
func besidePartner(partner http.Handler) func(http.Handler) http.Handler {
	below := http.StripPrefix(partnerPath, partner)
	return func(tier http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch path := r.URL.Path; {
			case path == partnerPath:
				http.Redirect(w, r, partnerPath+"/", http.StatusPermanentRedirect)
			case strings.HasPrefix(path, partnerPath+"/"):
				below.ServeHTTP(w, r)
			default:
				tier.ServeHTTP(w, r)
			}
		})
	}
}

// reachable returns where an address can be reached from this machine: one of all interfaces is reached by loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch ip, err := netip.ParseAddr(host); {
	case err != nil || !ip.IsUnspecified():
		return addr
	case ip.Is4():
		return net.JoinHostPort("127.0.0.1", port)
	default:
		return net.JoinHostPort("::1", port)
	}
}
