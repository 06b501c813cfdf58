package exposure

import (
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// Names of the definitions that matter. Any of them may be missing.
const (
	crdExposedAPI     = "exposedapis." + oda.Group
	crdAPI            = "apis." + oda.Group
	crdLowercaseAPI   = "lowercaseapis." + oda.Group
	crdComponent      = "components." + oda.Group
	crdVirtualService = "virtualservices.networking.istio.io"
	crdGateway        = "gateways.networking.istio.io"
	crdServiceMonitor = "servicemonitors.monitoring.coreos.com"
)

// apiCRDs are the definitions of the kinds of APIs, whose status this package writes; otherCRDs are the rest.
var (
	apiCRDs   = []string{crdExposedAPI, crdAPI, crdLowercaseAPI}
	otherCRDs = []string{crdVirtualService, crdGateway, crdServiceMonitor, crdComponent}
)

// allCRDs are all definitions that matter.
func allCRDs() []string { return slices.Concat(apiCRDs, otherCRDs) }

// apiKinds are the kinds that apiCRDs may define.
var apiKinds = []string{oda.KindExposedAPI, oda.KindLegacyAPI, oda.KindLegacyLowercase}

// served is how the API server offers a kind.
type served struct {
	schema.GroupVersionResource
	kind string
	// subresource is true when status is a subresource of its own.
	subresource bool
}

// servedBy tells how a definition is served: in the version of storage, which spares conversion, else in the most stable
// one; false while it is not.
func servedBy(crd *apiextensionsv1.CustomResourceDefinition) (served, bool) {
	established := slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	if !established || crd.DeletionTimestamp != nil {
		return served{}, false
	}
	var best *apiextensionsv1.CustomResourceDefinitionVersion
	for i := range crd.Spec.Versions {
		v := &crd.Spec.Versions[i]
		if v.Served && (best == nil || v.Storage || !best.Storage && version.CompareKubeAwareVersionStrings(v.Name, best.Name) > 0) {
			best = v
		}
	}
	if best == nil {
		return served{}, false
	}
	return served{
		GroupVersionResource: schema.GroupVersionResource{Group: crd.Spec.Group, Version: best.Name, Resource: crd.Spec.Names.Plural},
		kind:                 crd.Spec.Names.Kind,
		subresource:          best.Subresources != nil && best.Subresources.Status != nil,
	}, true
}

func (s served) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: s.Group, Version: s.Version, Kind: s.kind}
}

// mapper knows this kind only, so that nobody asks the API server what it is called.
func (s served) mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	m.AddSpecific(s.gvk(), s.GroupVersionResource, s.GroupVersionResource, meta.RESTScopeNamespace)
	return m
}
