// Package program turns flags and environment into a running controller
// manager. It is the part that all programs of the operator share: logging,
// watched namespaces, metrics, health probes, leader election and shutdown.
// It knows nothing of what a program reconciles.
//
// A program's main is meant to read:
//
//	opts := program.NewOptions("sidecar", program.Ports{Metrics: ":8444", Health: ":8082"})
//	flags := pflag.NewFlagSet("sidecar", pflag.ContinueOnError)
//	opts.BindFlags(flags)
//	... flags.Parse(args), opts.ReadEnvironment(os.Getenv)
//	opts.SetLogger(os.Stderr)
//	mgr, err := program.NewManager("sidecar", scheme, opts)
//	... add controllers to mgr
//	err = mgr.Start(ctrl.SetupSignalHandler())
package program
