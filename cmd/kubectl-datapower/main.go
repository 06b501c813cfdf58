// SPDX-License-Identifier: Apache-2.0

// Command kubectl-datapower is the kubectl plugin: kubectl datapower.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/datapower-operator/datapower-operator/internal/plugin"
)

func main() { os.Exit(run()) }

// run is 0 when all is well, 2 for a wrong command line, and 1 for everything else.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := genericclioptions.NewConfigFlags(true)
	cmd := plugin.New(plugin.Options{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Clock:     clock.RealClock{},
		Connect:   func() (plugin.Clients, error) { return plugin.ConnectWith(flags) },
		Chart:     chartFolder(),
	})
	flags.AddFlags(cmd.PersistentFlags())
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		if errors.Is(err, plugin.ErrUsage) {
			return 2
		}
		return 1
	}
	return 0
}

// chartFolder is beside the program, where the plugin's archive has it, or in the checkout that is worked in.
func chartFolder() string {
	const chart = "helm-charts/datapowerservice"
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program) // krew links to the program
	}
	if err == nil {
		beside := filepath.Join(filepath.Dir(program), chart)
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return chart
}
