package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper/exposedapi"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/internal/program"
)

// apiMappers makes the mappers of all kinds of APIs, which share what they know of each other's paths.
type apiMappers struct {
	mgr  manager.Manager
	opts *program.Options
	hub  *exposedapi.Hub
}

// mapperFor adds the mappers of APIs to those of the other kinds.
func (a *apiMappers) mapperFor(w watches.Watch, src *chart.Source) (mapper.Mapper, error) {
	if w.Group != oda.Group {
		return mapperFor(w, src)
	}
	settings, err := exposedapi.ReadSettings(src.Values(), w.OverrideValues, os.Getenv)
	if err != nil {
		return nil, err
	}
	if a.hub == nil {
		foreign, err := exposedapi.NewForeignCache(a.mgr.GetConfig(), cache.Options{
			Scheme: a.mgr.GetScheme(), Mapper: a.mgr.GetRESTMapper(), HTTPClient: a.mgr.GetHTTPClient(),
			DefaultNamespaces: program.CacheNamespaces(a.opts.Namespaces),
		})
		if err != nil {
			return nil, err
		}
		if err := a.mgr.Add(foreign); err != nil {
			return nil, fmt.Errorf("add cache of foreign VirtualServices: %w", err)
		}
		a.hub = exposedapi.NewHub(a.mgr.GetCache(), foreign, a.mgr.GetRESTMapper())
	}
	return a.hub.Mapper(w.GroupVersionKind, settings), nil
}
