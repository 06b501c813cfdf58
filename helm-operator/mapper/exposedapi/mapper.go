// Package exposedapi maps what the chart exposedapi needs from the cluster: the name and labels of the ExposedAPI, and
// whether its path belongs to an older one, or to an older VirtualService that somebody else made.
package exposedapi

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

// Mapper implements mapper.Mapper for one kind of API.
type Mapper struct {
	mapper.None
	hub  *Hub
	kind *kind
}

var (
	_ mapper.Mapper   = (*Mapper)(nil)
	_ mapper.Needer   = (*Mapper)(nil)
	_ mapper.Notifier = (*Mapper)(nil)
)

// Map implements mapper.Mapper. It waits until all APIs that this program may see are known.
func (m *Mapper) Map(ctx context.Context, cr *unstructured.Unstructured, _ mapper.Cluster) (map[string]any, error) {
	conflict, lost, err := m.hub.conflict(ctx, m.kind, cr)
	if err != nil {
		return nil, err
	}
	labels := map[string]any{}
	for k, v := range cr.GetLabels() {
		labels[k] = v
	}
	out := map[string]any{"name": cr.GetName(), "labels": labels}
	if lost {
		out["conflict"] = conflict.String()
	}
	return out, nil
}

// Needs implements mapper.Needer.
func (m *Mapper) Needs(cr *unstructured.Unstructured) ([]mapper.Need, error) {
	api, _ := oda.Read(cr) // what is wrong in it, the chart tells
	var out []mapper.Need
	_, exposure := m.kind.settings.Route(api)
	if _, lost := m.hub.known(api.Key); exposure == oda.Routed && !lost {
		out = append(out, mapper.Need{
			GroupKind:  schema.GroupKind{Group: istioGroup, Kind: kindVirtualService},
			Versions:   m.kind.settings.IstioVersions,
			Definition: "virtualservices." + istioGroup,
		})
	}
	if oda.Metrics(api.Type) && !api.External() && m.kind.settings.Metrics == oda.MetricsServiceMonitor {
		out = append(out, mapper.Need{
			GroupKind:  schema.GroupKind{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"},
			Versions:   []string{"v1"},
			Definition: "servicemonitors.monitoring.coreos.com",
		})
	}
	return out, nil
}

// Changed implements mapper.Notifier.
func (m *Mapper) Changed() <-chan event.GenericEvent { return m.kind.changed }
