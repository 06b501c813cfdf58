package leader

import (
	"fmt"

	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/internal/program"
)

// Add adds to a manager what keeps a label on the pod of its leader. It does nothing outside of a pod, or where nobody
// competes for the Lease: there is no leader to be told from followers.
func Add(mgr manager.Manager, opts *program.Options, label string) error {
	namespace, pod := opts.Pod()
	if !opts.LeaderElect || namespace == "" || pod == "" {
		return nil
	}
	pods, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making a client for the leader's label: %w", err)
	}
	failures := NewFailures()
	if err := program.Replace(metrics.Registry, failures); err != nil {
		return fmt.Errorf("registering the metrics of the leader's label: %w", err)
	}
	return mgr.Add(New(Options{
		Client: pods, Namespace: namespace, Pod: pod, UID: opts.PodUID(), Label: label, Failures: failures, Log: mgr.GetLogger().WithName("leader-label"),
	}))
}
