package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// Topics returns the names of all topics of the cluster except Kafka's own, sorted.
func (c *Client) Topics(ctx context.Context) ([]string, error) {
	res, err := c.metadata(ctx, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range res.Topics {
		if !t.Internal {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Partitions returns how many partitions the topic has. The error is retryable when there is no such topic, for it
// may be about to be made.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	res, err := c.metadata(ctx, []string{topic})
	if err != nil {
		return 0, err
	}
	for _, t := range res.Topics {
		if t.Name != topic {
			continue
		}
		if t.Error != nil {
			return 0, fmt.Errorf("topic %s: %w; create it with `reckoner migrate`", topic, t.Error)
		}
		return len(t.Partitions), nil
	}
	return 0, fmt.Errorf("topic %s: %w; create it with `reckoner migrate`", topic, kafka.UnknownTopicOrPartition)
}

func (c *Client) metadata(ctx context.Context, topics []string) (*kafka.MetadataResponse, error) {
	res, err := c.kafka.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		c.reset(err)
		return nil, fmt.Errorf("ask the Kafka cluster %v for its layout: %w", c.opt.Brokers, err)
	}
	return res, nil
}

// topicsPatience bounds EnsureTopics. A controller that died has a successor within seconds, and each broker learns in
// its own time of a topic that was just made.
const topicsPatience = time.Minute

// EnsureTopics creates the topics that are missing and checks those that exist, whoever made them. A topic that differs
// is never changed: all differences together are returned as a *TopicMismatchError. What may pass, such as a controller
// that just died, is tried again until ctx ends or a minute is over; what is told is then the last failure.
func (c *Client) EnsureTopics(ctx context.Context, specs []TopicSpec) error {
	ctx, cancel := context.WithTimeout(ctx, topicsPatience)
	defer cancel()
	started := time.Now()
	var last error
	for wait := newBackoff(); ; {
		differences, err := c.ensure(ctx, specs)
		switch {
		case err == nil && len(differences) > 0:
			return &TopicMismatchError{Differences: differences}
		case err == nil || !Retryable(err):
			return err
		case ctx.Err() == nil || last == nil: // else it says no more than that the time is over
			last = err
		}
		c.reset(err)
		if sleep(ctx, wait.NextBackOff()) != nil {
			return fmt.Errorf("tried for %s: %w", time.Since(started).Round(time.Second), last)
		}
		c.log.Warn("trying again to make the topics", "error", err)
	}
}

// ensure tries once. A second try is safe: topics that were made, with or without an answer, are there by then.
func (c *Client) ensure(ctx context.Context, specs []TopicSpec) (differences []string, err error) {
	if err := c.create(ctx, specs); err != nil {
		return nil, err
	}
	return c.differences(ctx, specs)
}

func (c *Client) create(ctx context.Context, specs []TopicSpec) error {
	c.transport.CloseIdleConnections() // and with them what was known of the cluster, which may be two seconds old
	existing, err := c.Topics(ctx)
	if err != nil {
		return err
	}
	var missing []kafka.TopicConfig
	for _, s := range specs {
		if slices.Contains(existing, s.Name) {
			continue
		}
		t := kafka.TopicConfig{Topic: s.Name, NumPartitions: s.Partitions, ReplicationFactor: orDefault(s.Replication, -1)}
		for _, k := range slices.Sorted(maps.Keys(s.Config)) {
			t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: s.Config[k]})
		}
		missing = append(missing, t)
	}
	if len(missing) == 0 {
		return nil
	}
	res, err := c.kafka.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: missing})
	if err != nil {
		c.reset(err)
		return fmt.Errorf("create topics: %w", err)
	}
	for _, t := range missing {
		// Another process may have created it meanwhile; the check that follows judges what it made.
		if err := res.Errors[t.Topic]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w%s", t.Topic, err, createRemedy(err))
		}
	}
	return nil
}

// createRemedy says what to do about a refusal that stands.
func createRemedy(err error) string {
	switch {
	case errors.Is(err, kafka.InvalidReplicationFactor):
		return "; have as many brokers running, or lower kafka.replication_factor"
	case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
		return "; give this client the right to create topics, or have them created by who has it"
	default:
		return ""
	}
}

func (c *Client) differences(ctx context.Context, specs []TopicSpec) ([]string, error) {
	var differences []string
	for _, s := range specs {
		n, err := c.Partitions(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		if n != s.Partitions {
			differences = append(differences, fmt.Sprintf("%s has %d partitions, not %d", s.Name, n, s.Partitions))
		}
		config, err := c.TopicConfig(ctx, s.Name, slices.Sorted(maps.Keys(s.Config)))
		if err != nil {
			return nil, err
		}
		for _, k := range slices.Sorted(maps.Keys(s.Config)) {
			if got, want := config[k], s.Config[k]; got != want {
				differences = append(differences, fmt.Sprintf("%s has %s=%s, not %s", s.Name, k, got, want))
			}
		}
	}
	return differences, nil
}

// TopicConfig returns settings of a topic by Kafka's names, those of names only.
func (c *Client) TopicConfig(ctx context.Context, topic string, names []string) (map[string]string, error) {
	if len(names) == 0 {
		return map[string]string{}, nil
	}
	res, err := c.kafka.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: names},
	}})
	if err != nil {
		c.reset(err)
		return nil, fmt.Errorf("ask for the settings of topic %s: %w", topic, err)
	}
	config := make(map[string]string, len(names))
	for _, r := range res.Resources {
		if r.Error != nil {
			return nil, fmt.Errorf("ask for the settings of topic %s: %w", topic, r.Error)
		}
		for _, e := range r.ConfigEntries {
			config[e.ConfigName] = e.ConfigValue
		}
	}
	return config, nil
}
