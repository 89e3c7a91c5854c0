package aggregator

import (
	"math"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// observeDisk shows the room that is left for the states; what cannot be asked is not a number.
func observeDisk(reg prometheus.Registerer, dir string) {
	ask := func(bytes func(vfs.DiskUsage) uint64) func() float64 {
		return func() float64 {
			usage, err := vfs.Default.GetDiskUsage(dir)
			if err != nil {
				return math.NaN()
			}
			return float64(bytes(usage))
		}
	}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_state_disk_free_bytes", Help: "Bytes that are free on the disk of the local states. A full disk ends the process.",
		}, ask(func(u vfs.DiskUsage) uint64 { return u.AvailBytes })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_state_disk_size_bytes", Help: "Bytes that the disk of the local states can hold, used ones included.",
		}, ask(func(u vfs.DiskUsage) uint64 { return u.TotalBytes })),
	)
}
