package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// GroupOptions say how to be a member of a consumer group. Zero times take the defaults.
type GroupOptions struct {
	// Group is the name of the group, Topic what it reads.
	Group, Topic string
	// Held returns the partitions whose state this process holds, with the offset up to which the state goes. It is
	// asked at every join. The group gives a partition to the member with its newest state, as long as members stay
	// in balance. When nil, the process holds nothing.
	Held func() map[int]int64
	// SessionTimeout is how long the group waits for a member that fell silent (default 10 s). Brokers bound it,
	// Apache Kafka from 6 s to 30 min.
	SessionTimeout time.Duration
	// Heartbeat is the interval of signs of life (default a tenth of SessionTimeout). A rebalance is noticed at the
	// next one, so it is also how long a newcomer waits for its partitions.
	Heartbeat time.Duration
	// RebalanceTimeout is how long the group waits for a member to end its work when partitions move (default 20 s).
	RebalanceTimeout time.Duration
	// JoinBackoff is the wait after the first failed attempt to join (default 500 ms). It grows from one to the next, to
	// 2 s when the failure may pass by itself, else to 10 s.
	JoinBackoff time.Duration
	// LeaveTimeout bounds the goodbye when Run ends (default 5 s).
	LeaveTimeout time.Duration
	// OnError is told of every failure that Run goes on after. All of them keep this process out of the group: the next
	// generation ends them.
	OnError func(error)
}

func (o *GroupOptions) defaults() {
	o.SessionTimeout = orDefault(o.SessionTimeout, 10*time.Second)
	o.Heartbeat = orDefault(o.Heartbeat, o.SessionTimeout/10)
	o.RebalanceTimeout = orDefault(o.RebalanceTimeout, 20*time.Second)
	o.JoinBackoff = orDefault(o.JoinBackoff, 500*time.Millisecond)
	o.LeaveTimeout = orDefault(o.LeaveTimeout, 5*time.Second)
	if o.Held == nil {
		o.Held = func() map[int]int64 { return nil }
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
}

// Generation is one period during which the partitions of a group stay where they are.
type Generation struct {
	// ID counts the generations of the group; Member is this process in the group's eyes.
	ID     int32
	Member string
	// Assigned are this member's partitions, each with the offset committed for it, NoOffset when there is none.
	Assigned map[int]int64

	topic string
	kafka *kafka.Generation
}

// NoOffset says that no offset was committed for a partition.
const NoOffset int64 = -1

// Partitions returns the assigned partitions in order.
func (g *Generation) Partitions() []int { return slices.Sorted(maps.Keys(g.Assigned)) }

// Commit stores the next offset to read of each partition. Kafka refuses it when the generation is over; then another
// member may own the partitions already. It returns when ctx ends even if the broker does not answer, with the
// outcome open.
func (g *Generation) Commit(ctx context.Context, offsets map[int]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	all := map[string]map[int]int64{g.topic: maps.Clone(offsets)}
	go func() { done <- g.kafka.CommitOffsets(all) }() // the client bounds it in time
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("commit offsets of %s in generation %d: %w", g.topic, g.ID, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RunGroup is a member of a consumer group until ctx ends or work returns an error, which it then returns; nil when
// ctx ended. It calls work once in every generation, in one goroutine, never two at a time. The context given to work
// ends with the generation; work must then return soon, before RebalanceTimeout, or the group goes on without this
// member. When work returns nil before, the member keeps its partitions and nobody reads them until the next
// generation.
//
// Two members may own a partition for a moment: the group cannot make a member stop that it cannot reach. Failures to
// reach the group, and a topic that does not exist yet, are waited out. At the end the member leaves the group, so
// that the others take over at once.
func (c *Client) RunGroup(ctx context.Context, o GroupOptions, work func(context.Context, *Generation) error) error {
	o.defaults()
	m := &member{
		client: c, opt: o, work: work, conns: newConnSet(c.opt.Brokers), closed: make(chan struct{}), joining: newJoining(o.Group, o.JoinBackoff),
	}
	if err := m.awaitTopic(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	group, err := kafka.NewConsumerGroup(m.config())
	if err != nil {
		return fmt.Errorf("join group %s: %w", o.Group, err)
	}
	m.group = group
	m.close = sync.OnceFunc(func() { go m.closeGroup() })
	defer context.AfterFunc(ctx, m.close)()
	err = m.run(ctx)
	m.leave()
	return err
}

// member is one RunGroup.
type member struct {
	client *Client
	opt    GroupOptions
	work   func(context.Context, *Generation) error
	conns  *connSet
	group  *kafka.ConsumerGroup
	close  func() // begins to close the group
	closed chan struct{}

	joining *joining
}

func (m *member) config() kafka.ConsumerGroupConfig {
	o, c := m.opt, m.client.opt
	return kafka.ConsumerGroupConfig{
		ID: o.Group, Topics: []string{o.Topic}, Brokers: c.Brokers,
		Dialer: &kafka.Dialer{
			ClientID: c.ClientID, Timeout: c.Dialer.Timeout, TLS: c.Dialer.TLS, SASLMechanism: m.client.user, DialFunc: m.conns.dial(c.Dialer.Timeout),
		},
		GroupBalancers: []kafka.GroupBalancer{sticky{held: o.Held}},
		SessionTimeout: o.SessionTimeout, HeartbeatInterval: o.Heartbeat, RebalanceTimeout: o.RebalanceTimeout,
		JoinGroupBackoff: o.JoinBackoff, StartOffset: kafka.FirstOffset, Timeout: c.IOTimeout,
		ErrorLogger: kafka.LoggerFunc(func(format string, args ...any) {
			// Next returns the same, and what it returns is told.
			m.client.log.Debug("consumer group: "+fmt.Sprintf(format, args...), "group", o.Group)
		}),
	}
}

// awaitTopic waits until the topic exists. The client would join without it, get nothing, and never look again.
func (m *member) awaitTopic(ctx context.Context) error {
	for wait := newBackoff(); ; {
		_, err := m.client.Partitions(ctx, m.opt.Topic)
		if err == nil || !Retryable(err) {
			return err
		}
		m.failed(err)
		if err := sleep(ctx, wait.NextBackOff()); err != nil {
			return err
		}
	}
}

// failed tells of a failure: to operators once, as long as it stays the same.
func (m *member) failed(err error) {
	err, news := m.joining.failure(err)
	level := slog.LevelDebug
	if news {
		level = slog.LevelWarn
	}
	m.client.log.Log(context.Background(), level, "consumer group waits, and tries again", "group", m.opt.Group, "topic", m.opt.Topic, "error", err)
	m.opt.OnError(err)
}

// run takes one generation after the other. It must always be waiting for the next: the client does not try to join
// again before its last failure was taken from it.
func (m *member) run(ctx context.Context) error {
	for {
		gen, err := m.group.Next(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, kafka.ErrGroupClosed):
			return nil
		case err != nil:
			m.failed(fmt.Errorf("join group %s: %w", m.opt.Group, err))
			// Until it is asked for the next one, the client makes one more attempt at most.
			if sleep(ctx, m.joining.pause(err)) != nil {
				return nil
			}
			continue
		}
		if err := m.generation(ctx, gen); err != nil {
			return err
		}
	}
}

// generation runs work and waits until the generation is over.
//
// Two orders matter. The client waits for what runs in Start before it joins again, so work is over before the next
// generation begins. And the group must be closing before the last generation ends, else the client would join once
// more only to leave, and everybody would rebalance twice; so work's context ends with the generation, not with runs.
func (m *member) generation(runs context.Context, gen *kafka.Generation) error {
	g := &Generation{ID: gen.ID, Member: gen.MemberID, Assigned: make(map[int]int64), topic: m.opt.Topic, kafka: gen}
	for _, a := range gen.Assignments[m.opt.Topic] {
		g.Assigned[a.ID] = max(a.Offset, NoOffset) // the client writes FirstOffset, -2, for none
	}
	m.client.log.Info("consumer group generation",
		"group", m.opt.Group, "generation", g.ID, "partitions", g.Partitions(), "failed_attempts", m.joining.joined())
	result := make(chan error, 1)
	gen.Start(func(over context.Context) {
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(runs))
		defer cancel(nil)
		defer context.AfterFunc(over, func() { cancel(kafka.ErrGenerationEnded) })()
		err := m.work(ctx, g)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = nil // it stopped because it had to
		}
		if err != nil {
			m.close()
		}
		<-over.Done()
		if err == nil {
			m.awaitCoordinator(runs)
		}
		result <- err
	})
	return <-result
}

// awaitCoordinator waits until a broker coordinates the group, when a generation is over. The client would try to join
// at once, and forget its member id when that fails; the group would then wait for the old member until its session
// ends. So the loss of the broker that coordinates would cost a session on top of the election.
//
// It asks for an offset, because the client sends that request to the coordinator and reads the answer right. Of
// heartbeats it does neither (v0.4.51).
func (m *member) awaitCoordinator(ctx context.Context) {
	for wait := newBackoff(); ctx.Err() == nil; {
		res, err := m.client.kafka.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
			GroupID: m.opt.Group, Topics: map[string][]int{m.opt.Topic: {0}},
		})
		if err == nil {
			err = res.Error
		}
		if !Retryable(err) {
			return // it is there, or joining will say what is wrong
		}
		m.client.reset(err)
		m.failed(fmt.Errorf("find the coordinator of group %s: %w", m.opt.Group, err))
		if sleep(ctx, min(wait.NextBackOff(), m.opt.JoinBackoff)) != nil {
			return
		}
	}
}

func (m *member) closeGroup() {
	_ = m.group.Close() // always nil
	close(m.closed)
}

// leave says goodbye. The client waits for answers that may be long in coming, such as that of a join; after the time
// allowed its connections are cut, which ends every wait.
func (m *member) leave() {
	m.close()
	t := time.NewTimer(m.opt.LeaveTimeout)
	defer t.Stop()
	select {
	case <-m.closed:
		return
	case <-t.C:
	}
	m.client.log.Warn("leaving the consumer group takes too long; cutting its connections", "group", m.opt.Group)
	m.conns.cut()
	<-m.closed
}
