package aggregator

import (
	"context"

	"reckoner/internal/bus"
)

// KafkaGroup is a membership in a consumer group of Kafka.
type KafkaGroup struct {
	Client  *bus.Client
	Options bus.GroupOptions
}

// Run implements Group.
func (k *KafkaGroup) Run(ctx context.Context, work func(context.Context, Generation) error) error {
	return k.Client.RunGroup(ctx, k.Options, func(ctx context.Context, g *bus.Generation) error {
		return work(ctx, kafkaGeneration{g})
	})
}

type kafkaGeneration struct{ *bus.Generation }

// Partitions implements Generation.
func (g kafkaGeneration) Partitions() []int32 {
	all := g.Generation.Partitions()
	numbers := make([]int32, len(all))
	for i, n := range all {
		numbers[i] = int32(n)
	}
	return numbers
}
