// Command bench measures the helm-operator beside the stock reconciler of helm-operator-plugins and
// beside the least that deploying the same objects can cost. See the README of test/bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/datapower-operator/datapower-operator/test/bench/measure"
	"github.com/datapower-operator/datapower-operator/test/bench/operator"
	"github.com/datapower-operator/datapower-operator/test/bench/report"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
)

// options are the command line.
type options struct {
	ns       []int
	variants []string
	json     string
	idle     time.Duration
	profile  string
	limit    time.Duration
	// operator is what the program is when it was started by itself.
	operator operator.Options
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.operator.Variant != "" {
		return operator.Run(ctx, o.operator, os.Stdin, os.Stdout)
	}
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	root, err := binaries.RepositoryRoot(".")
	if err != nil {
		return err
	}
	r, err := measureAll(ctx, o, root)
	// What was measured is worth printing even if the rest failed.
	return errors.Join(err, r.Print(os.Stdout), writeJSON(o.json, r))
}

func parse(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	flags.IntSliceVarP(&o.ns, "n", "n", []int{10, 100}, "numbers of custom resources")
	flags.StringSliceVar(&o.variants, "variants", []string{operator.Ours, operator.Stock, operator.Floor}, "what to measure")
	flags.StringVar(&o.json, "json", "", "file for the numbers as JSON")
	flags.DurationVar(&o.idle, "idle", 15*time.Second, "length of the idle phase")
	flags.StringVar(&o.profile, "profile", "", "directory for CPU and heap profiles of the operators; profiling costs some CPU itself")
	flags.DurationVar(&o.limit, "limit", time.Hour, "give up after this time")
	flags.StringVar(&o.operator.Variant, "operator", "", "run as this operator (the program starts itself so)")
	flags.StringVar(&o.operator.Chart, "operator-chart", "", "chart of the operator")
	flags.StringVar(&o.operator.Profile, "operator-profile", "", "CPU profile of the operator")
	return o, flags.Parse(args)
}

// command is parse's counterpart.
func command(o operator.Options) []string {
	return []string{"--operator=" + o.Variant, "--operator-chart=" + o.Chart, "--operator-profile=" + o.Profile}
}

func measureAll(ctx context.Context, o options, root string) (report.Report, error) {
	r := report.Report{Started: time.Now().UTC(), CPUs: runtime.NumCPU()}
	for _, n := range o.ns {
		for _, variant := range o.variants {
			result, err := measure.Run(ctx, measure.Options{
				Variant: variant, N: n, Idle: o.idle, Profile: o.profile, Command: command,
				Chart:    filepath.Join(root, "helm-charts", "datapowerservice"),
				CRDs:     filepath.Join(root, "config", "crd", "bases"),
				Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
			})
			if err != nil {
				return r, err
			}
			r.Results = append(r.Results, result)
		}
	}
	return r, nil
}

func writeJSON(path string, r report.Report) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write numbers: %w", err)
	}
	encoder := json.NewEncoder(file)
	encoder.SetIndent("", "  ")
	return errors.Join(encoder.Encode(r), file.Close())
}
