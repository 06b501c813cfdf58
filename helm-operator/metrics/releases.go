package metrics

import (
	"cmp"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

// maxReleases bounds how many resources of a kind have series of their own.
const maxReleases = 2000

// State is what a release is like, in one word.
type State string

// States of releases.
const (
	// Pending: nothing has come to an end yet.
	Pending State = "Pending"
	// Deployed: the release holds what the resource asks for.
	Deployed State = "Deployed"
	// Failed: the last install, upgrade or uninstall failed.
	Failed State = "Failed"
	// Irreconcilable: the resource cannot be rendered, or the cluster could not be asked.
	Irreconcilable State = "Irreconcilable"
	// Uninstalled: the resource is there and its release is not, as while it hibernates.
	Uninstalled State = "Uninstalled"
)

// Release is what is told of one release.
type Release struct {
	State State
	// Revision that is deployed, 0 when none is.
	Revision int64
}

type releaseKey struct {
	kind string
	types.NamespacedName
}

// releases are those that this process reconciles. Only the leader does, so that no release is told of twice.
type releases struct {
	state, revision, omitted *prometheus.Desc

	mu  sync.Mutex
	all map[releaseKey]Release
}

var released = newReleases()

func newReleases() *releases {
	return &releases{
		state: prometheus.NewDesc("datapower_operator_release_state",
			"1 for the state of the release of a custom resource: Pending, Deployed, Failed, Irreconcilable or Uninstalled. "+
				"At most 2000 resources of a kind have this series.", []string{"kind", "namespace", "name", "state"}, nil),
		revision: prometheus.NewDesc("datapower_operator_release_revision",
			"Revision of the release that is deployed; absent when none is. At most 2000 resources of a kind have this series.",
			[]string{"kind", "namespace", "name"}, nil),
		omitted: prometheus.NewDesc("datapower_operator_series_omitted",
			"Resources or series that were left out of a metric because of its bound.", []string{"metric"}, nil),
		all: map[releaseKey]Release{},
	}
}

// Released tells what the release of a resource is like now.
func (k Kind) Released(name types.NamespacedName, release Release) {
	released.mu.Lock()
	defer released.mu.Unlock()
	released.all[releaseKey{string(k), name}] = release
}

// Gone ends the series of a resource.
func (k Kind) Gone(name types.NamespacedName) {
	released.mu.Lock()
	defer released.mu.Unlock()
	delete(released.all, releaseKey{string(k), name})
}

// Describe implements [prometheus.Collector].
func (r *releases) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- r.state
	descriptions <- r.revision
	descriptions <- r.omitted
}

// Collect implements [prometheus.Collector].
func (r *releases) Collect(metrics chan<- prometheus.Metric) {
	kept, omitted := r.list()
	for _, key := range kept {
		release := key.release
		metrics <- prometheus.MustNewConstMetric(r.state, prometheus.GaugeValue, 1, key.kind, key.Namespace, key.Name, string(release.State))
		if release.Revision > 0 {
			metrics <- prometheus.MustNewConstMetric(r.revision, prometheus.GaugeValue, float64(release.Revision), key.kind, key.Namespace, key.Name)
		}
	}
	if omitted > 0 {
		metrics <- prometheus.MustNewConstMetric(r.omitted, prometheus.GaugeValue, float64(omitted), "datapower_operator_release_state")
	}
}

type listed struct {
	releaseKey
	release Release
}

// list returns at most maxReleases of each kind, always the same ones, and how many it left out.
func (r *releases) list() (kept []listed, omitted int) {
	r.mu.Lock()
	all := make([]listed, 0, len(r.all))
	for key, release := range r.all {
		all = append(all, listed{key, release})
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	count := map[string]int{}
	for _, one := range all {
		if count[one.kind]++; count[one.kind] <= maxReleases {
			kept = append(kept, one)
		}
	}
	return kept, len(all) - len(kept)
}
