// SPDX-License-Identifier: Apache-2.0

// Package plugin is kubectl datapower: it shows a DataPowerService on one screen, renders what the operator would apply,
// gathers what support asks for, and asks the monitor for a look. Nothing here runs in the cluster.
package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// ErrUsage says that the command line cannot be followed.
var ErrUsage = errors.New("wrong usage")

// Clients are the cluster as the plugin sees it.
type Clients struct {
	// Objects reads and writes live; it knows the kinds of Scheme.
	Objects client.Client
	// Logs reads logs of pods.
	Logs kubernetes.Interface
	// Discovery tells what the API server offers.
	Discovery discovery.DiscoveryInterface
	// Namespace is that of the command line or of the kubeconfig's context.
	Namespace string
}

// Options are what New depends on.
type Options struct {
	genericiooptions.IOStreams
	// Clock gives the ages on the screens.
	Clock clock.PassiveClock
	// Connect makes the clients; it is called once per command, and not for completion scripts.
	Connect func() (Clients, error)
	// Chart is the folder of the chart unless --chart names one.
	Chart string
}

// Scheme has the kinds that the plugin reads as Go types.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	return s, nil
}

// ConnectWith makes clients of kubectl's own flags.
func ConnectWith(flags *genericclioptions.ConfigFlags) (Clients, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return Clients{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return Clients{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	s, err := Scheme()
	if err != nil {
		return Clients{}, err
	}
	objects, err := client.New(config, client.Options{Scheme: s})
	if err != nil {
		return Clients{}, fmt.Errorf("make a client: %w", err)
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("make a client: %w", err)
	}
	return Clients{Objects: objects, Logs: core, Discovery: core.Discovery(), Namespace: namespace}, nil
}

// New returns the command kubectl datapower. Flags of the connection are the caller's to add.
func New(o Options) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-datapower",
		Short:         "Look after DataPower gateways",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl datapower"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.ErrOut)
	root.AddCommand(newStatus(o), newPeering(o), newRender(o), newLogs(o), newMustGather(o), newResetPeering(o))
	return root
}

// oneName is the argument rule of commands that work on one service.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("%w: give the name of one DataPowerService", ErrUsage)
	}
	return nil
}

// completeNames offers the services of the namespace.
func completeNames(o Options) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := o.Connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		list := &v1beta3.DataPowerServiceList{}
		if err := c.Objects.List(contextOf(cmd), list, client.InNamespace(c.Namespace)); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := make([]string, 0, len(list.Items))
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// format is the flag -o.
type format string

func (f *format) bind(cmd *cobra.Command) {
	cmd.Flags().StringVarP((*string)(f), "output", "o", "", "json, or nothing for a table")
}

func (f *format) check() error {
	if *f != "" && *f != "json" {
		return fmt.Errorf("%w: --output %q: only json is known", ErrUsage, string(*f))
	}
	return nil
}
