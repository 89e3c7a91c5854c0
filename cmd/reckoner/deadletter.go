package main

import (
	"errors"

	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newDeadLetter() *cobra.Command {
	c := &cobra.Command{
		Use: "deadletter", Short: "Look at records that were no valid events, and send them again", Args: cobra.NoArgs,
		Long: "A record of the log that is not a valid event is refused as undecodable, and copied to the topic usage.deadletter with its\n" +
			"reason and position.",
	}
	c.AddCommand(newDeadLetterList(), newDeadLetterShow(), newDeadLetterRequeue())
	return c
}

func newDeadLetterList() *cobra.Command {
	var o app.DeadLetterListOptions
	c := &cobra.Command{
		Use: "list", Short: "List dead letters: position, time, key, size, reason", Args: cobra.NoArgs,
		Example: "  reckoner deadletter list\n  reckoner deadletter list --partition 3 --limit 0",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers")
	c.Flags().IntVar(&o.Limit, "limit", 100, "list at most so many; 0 lists all")
	c.Flags().Int32Var(&o.Partition, "partition", -1, "only those of this partition of the log")
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := newProcess(c)
		if err != nil {
			return err
		}
		return p.End(app.ListDeadLetters(c.Context(), p, c.OutOrStdout(), o))
	}
	return c
}

func newDeadLetterShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show POSITION", Short: "Show one dead letter: headers, bytes, and the event as far as it can be read", Args: cobra.ExactArgs(1),
		Example: "  reckoner deadletter show 1/3/120.0",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := newProcess(c)
		if err != nil {
			return err
		}
		return p.End(app.ShowDeadLetter(c.Context(), p, c.OutOrStdout(), args[0]))
	}
	return c
}

func newDeadLetterRequeue() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "requeue POSITION | --all", Short: "Write dead letters to the log again", Args: cobra.MaximumNArgs(1),
		Long: "Write the original bytes of dead letters to the log again, by the account of the event that they hold. It is for records that\n" +
			"this build can decode and an older one could not; what would be refused again is not written, and is told with its reason.\n" +
			"Doing it twice counts nothing twice: the id is the same.\n\n" +
			"Exit status: 0 when all were written, 1 otherwise.",
		Example: "  reckoner deadletter requeue 1/3/120.0\n  reckoner deadletter requeue --all",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	c.Flags().BoolVar(&all, "all", false, "every dead letter")
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) == 1) {
			return errRequeueWhat
		}
		p, err := newProcess(c)
		if err != nil {
			return err
		}
		position := ""
		if !all {
			position = args[0]
		}
		complete, err := app.RequeueDeadLetters(c.Context(), p, c.OutOrStdout(), position)
		if err := p.End(err); err != nil {
			return err
		}
		if !complete {
			return &exitStatus{1}
		}
		return nil
	}
	return c
}

var errRequeueWhat = errors.New("say what to write again: the POSITION of a dead letter, or --all")

// newProcess returns a process that does one thing and ends.
func newProcess(c *cobra.Command) (*app.Process, error) {
	s, err := loadSettings(c, nil)
	if err != nil {
		return nil, err
	}
	return app.NewProcess(s, newLogger(s, c.ErrOrStderr())), nil
}
