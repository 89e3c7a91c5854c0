package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "reckoner",
		Short:         "Usage metering: every event counted once, never lost, provable down to its id",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newDev(), newEngines(), newIngest(), newAggregate(), newReport(), newMigrate(), newVerify(), newReplay(), newStatement(), newDeadLetter(), newCatalog(), newConfig(), newSend(), newBench())
	return root
}

// process is a command that starts something and runs until it is told to stop.
type process struct {
	use, short, long, example string
	flags                     []string
	defaults                  map[string]string
	start                     func(ctx context.Context, p *app.Process) error
	once                      bool // the command ends when start does
}

func (d process) command() *cobra.Command {
	c := &cobra.Command{Use: d.use, Short: d.short, Long: d.long, Example: d.example, Args: cobra.NoArgs}
	config.AddFlags(c.Flags(), append([]string{"config", "log-level"}, d.flags...)...)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := loadSettings(c, d.defaults)
		if err != nil {
			return err
		}
		log := newLogger(s, c.ErrOrStderr())
		if d.once {
			return app.RunOnce(c.Context(), s, log, d.start)
		}
		return app.Run(c.Context(), s, log, d.start)
	}
	return c
}

func loadSettings(c *cobra.Command, defaults map[string]string) (*config.Settings, error) {
	return config.Load(config.Source{Flags: c.Flags(), Environ: os.Environ(), Defaults: defaults})
}

// newLogger logs to standard error: standard output is for what a command prints.
func newLogger(s *config.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Log.Level)) // the settings allow only levels that it knows
	o := &slog.HandlerOptions{Level: level}
	if s.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
