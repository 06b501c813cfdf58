package program

import (
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// newMapper is the mapper of a manager: that of controller-runtime, but for kinds that differ in case alone.
func newMapper(cfg *rest.Config, client *http.Client) (meta.RESTMapper, error) {
	fresh := func() (meta.RESTMapper, error) { return apiutil.NewDynamicRESTMapper(cfg, client) }
	first, err := fresh()
	if err != nil {
		return nil, err
	}
	return &exactMapper{RESTMapper: first, fresh: fresh}, nil
}

// exactMapper maps a kind to the resource of just this kind. client-go's takes a kind in lower case for the kind whose name it
// is in lower case, and keeps that: where a definition of the kind "api" comes after one of "API", it would lead to the
// resource of the latter for ever.
type exactMapper struct {
	meta.RESTMapper
	fresh func() (meta.RESTMapper, error)

	mutex sync.Mutex
	newer meta.RESTMapper // once one was needed
}

// latest is the mapper that discovered last.
func (m *exactMapper) latest() meta.RESTMapper {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.newer != nil {
		return m.newer
	}
	return m.RESTMapper
}

// RESTMapping implements [meta.RESTMapper].
func (m *exactMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	inner := m.latest()
	mapping, err := inner.RESTMapping(kind, versions...)
	if err != nil || isOf(inner, mapping, kind) {
		return mapping, err
	}
	// What was discovered may be too old to have the kind.
	inner, err = m.fresh()
	if err != nil {
		return nil, err
	}
	m.mutex.Lock()
	m.newer = inner
	m.mutex.Unlock()
	mapping, err = inner.RESTMapping(kind, versions...)
	if err == nil && !isOf(inner, mapping, kind) {
		return nil, &meta.NoKindMatchError{GroupKind: kind, SearchedVersions: versions}
	}
	return mapping, err
}

// isOf tells whether the resource of a mapping is one of the kind.
func isOf(m meta.RESTMapper, mapping *meta.RESTMapping, kind schema.GroupKind) bool {
	found, err := m.KindFor(mapping.Resource)
	return err != nil || found.Kind == kind.Kind
}
