package aggregator

import (
	"context"

	"reckoner/internal/bus"
)

// KafkaGroup is a membership in a consumer group of Kafka.
type KafkaGroup struct {
	Client  *bus.Client
	Options bus.GroupOptions
	// Partitions is how many the log has. The topic may have more by now: those are not of this log, and nobody works on
	// them.
	Partitions int32
}

// Run implements Group.
func (k *KafkaGroup) Run(ctx context.Context, work func(context.Context, Generation) error) error {
	return k.Client.RunGroup(ctx, k.Options, func(ctx context.Context, g *bus.Generation) error {
		return work(ctx, kafkaGeneration{g, k.Partitions})
	})
}

type kafkaGeneration struct {
	*bus.Generation
	partitions int32
}

// Partitions implements Generation.
func (g kafkaGeneration) Partitions() []int32 {
	var numbers []int32
	for _, n := range g.Generation.Partitions() {
		if int32(n) < g.partitions {
			numbers = append(numbers, int32(n))
		}
	}
	return numbers
}
