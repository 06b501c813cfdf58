package monitor

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// monitorKind is the kind that this package writes the status of.
const monitorKind = "DataPowerMonitor"

// writeAttempts bounds how often a write is tried again because the monitor changed meanwhile.
const writeAttempts = 5

// write applies wanted to the status subresource, provided that the monitor is still exactly base: otherwise it fails
// with a conflict. It returns the monitor as the API server has it now.
func (r *Reconciler) write(
	ctx context.Context, base *v1beta2.DataPowerMonitor, wanted v1beta2.DataPowerMonitorStatus,
) (*v1beta2.DataPowerMonitor, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&wanted)
	if err != nil {
		return nil, fmt.Errorf("encoding the status: %w", err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	object.SetGroupVersionKind(v1beta2.GroupVersion.WithKind(monitorKind))
	object.SetNamespace(base.Namespace)
	object.SetName(base.Name)
	object.SetUID(base.UID)
	object.SetResourceVersion(base.ResourceVersion)
	err = r.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(datapower.SidecarStatusFieldManager), client.ForceOwnership)
	if err != nil {
		return nil, fmt.Errorf("applying the status: %w", err)
	}
	written := &v1beta2.DataPowerMonitor{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, written); err != nil {
		return nil, fmt.Errorf("decoding the answer: %w", err)
	}
	return written, nil
}

// newer returns the one of two states of the same monitor that the API server had later. Of two monitors it returns the
// second.
func newer(known, cached *v1beta2.DataPowerMonitor) *v1beta2.DataPowerMonitor {
	if known == nil || known.UID != cached.UID {
		return cached
	}
	order, err := resourceversion.CompareResourceVersion(known.ResourceVersion, cached.ResourceVersion)
	if err != nil || order <= 0 {
		return cached
	}
	return known
}

// journal keeps the resets of one monitor in its status.
type journal struct {
	reconciler *Reconciler
	entry      *entry
}

var _ peering.Journal = journal{}

// Begin implements [peering.Journal].
func (j journal) Begin(ctx context.Context, reset peering.Reset) error {
	return j.change(ctx, func(resets []v1beta2.PeeringReset) []v1beta2.PeeringReset {
		return append(without(resets, reset), v1beta2.PeeringReset(reset))
	})
}

// End implements [peering.Journal].
func (j journal) End(ctx context.Context, reset peering.Reset) error {
	return j.change(ctx, func(resets []v1beta2.PeeringReset) []v1beta2.PeeringReset { return without(resets, reset) })
}

// without returns a copy of the entries without that of a reset.
func without(resets []v1beta2.PeeringReset, reset peering.Reset) []v1beta2.PeeringReset {
	return slices.DeleteFunc(slices.Clone(resets), func(r v1beta2.PeeringReset) bool {
		return r.PodUID == reset.PodUID && r.Domain == reset.Domain && r.Peering == reset.Peering
	})
}

// change writes another list of resets and leaves the rest of the status as it is.
func (j journal) change(ctx context.Context, change func([]v1beta2.PeeringReset) []v1beta2.PeeringReset) error {
	j.entry.mutex.Lock()
	defer j.entry.mutex.Unlock()
	for attempt := 1; ; attempt++ {
		base := j.entry.known
		wanted := mine(base.Status)
		wanted.Resets = change(wanted.Resets)
		if !needsWrite(base.Status, wanted, false) {
			return nil
		}
		written, err := j.reconciler.write(ctx, base, wanted)
		if err == nil {
			j.entry.known = written
			j.entry.state.Written = j.reconciler.Clock.Now()
			return nil
		}
		if !apierrors.IsConflict(err) || attempt == writeAttempts {
			return fmt.Errorf("recording a reset: %w", err)
		}
		if err := j.reconciler.reread(ctx, j.entry); err != nil {
			return fmt.Errorf("recording a reset: %w", err)
		}
	}
}

// openResets are the journal's entries in the form that the work takes.
func openResets(status v1beta2.DataPowerMonitorStatus) []peering.Reset {
	var open []peering.Reset
	for _, reset := range status.Resets {
		open = append(open, peering.Reset(reset))
	}
	return open
}
