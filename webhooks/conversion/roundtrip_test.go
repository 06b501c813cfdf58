package conversion_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/intstr"
	utiljson "sigs.k8s.io/json"
	"sigs.k8s.io/randfill"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// newService makes an empty service by version.
var newService = map[string]func() runtime.Object{
	"v1beta1": func() runtime.Object { return &v1beta1.DataPowerService{} },
	"v1beta2": func() runtime.Object { return &v1beta2.DataPowerService{} },
	"v1beta3": func() runtime.Object { return &v1beta3.DataPowerService{} },
}

var versions = []string{"v1beta1", "v1beta2", "v1beta3"}

func TestServicesComeBackUnchangedFromEveryVersion(t *testing.T) {
	t.Parallel()
	for _, from := range versions {
		for _, to := range versions {
			if from == to {
				continue
			}
			t.Run(from+" to "+to+" and back", func(t *testing.T) {
				t.Parallel()
				seed := time.Now().UnixNano()
				filler := newFiller(seed)
				for i := range conversion.Rounds(t) {
					requireWalk(t, randomService(t, filler, from), []string{to, from}, seed, i)
				}
			})
		}
	}
}

func TestServicesSurviveAWalkThroughTheVersions(t *testing.T) {
	t.Parallel()
	seed := time.Now().UnixNano()
	filler, random := newFiller(seed), rand.New(rand.NewSource(seed))
	for i := range conversion.Rounds(t) {
		from := versions[i%len(versions)]
		var walk []string
		for range 2 + random.Intn(4) {
			walk = append(walk, versions[random.Intn(len(versions))])
		}
		requireWalk(t, randomService(t, filler, from), append(walk, from), seed, i)
	}
}

// requireWalk converts an object from version to version, and requires that the result, in the first version again,
// is equal to the original, that all results on the way decode into their types, and that the input stays as it is.
func requireWalk(t *testing.T, original []byte, walk []string, seed int64, round int) {
	t.Helper()
	current := original
	for _, version := range walk {
		before := bytes.Clone(current)
		next, err := conversion.ConvertObject(current, apiVersion(version))
		require.NoError(t, err)
		require.Equal(t, before, current, "the input must not change")
		requireDecodes(t, next, version)
		current = next
	}
	if !bytes.Equal(canonical(t, original), canonical(t, current)) {
		changes := diff.Diff(object(t, original), object(t, current))
		require.Fail(t, "the object changed", "seed %d, round %d, walk %v\n%s", seed, round, walk, changes)
	}
}

// requireDecodes requires that an object decodes into the Go type of a version without a field left over.
func requireDecodes(t *testing.T, raw []byte, version string) {
	t.Helper()
	strict, err := utiljson.UnmarshalStrict(raw, newService[version]())
	require.NoError(t, err, "%s", raw)
	require.Empty(t, strict)
}

func TestTypedIsTheSameAsConvertingJSON(t *testing.T) {
	t.Parallel()
	filler := newFiller(1)
	for range 50 {
		for _, from := range versions {
			for _, to := range versions {
				in := newService[from]()
				filler.Fill(in)
				setTypeMeta(in, from)
				viaJSON, typed := newService[to](), newService[to]()
				raw, err := conversion.ConvertObject([]byte(text(t, in)), apiVersion(to))
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(raw, viaJSON))
				require.NoError(t, conversion.Typed(in, typed))
				require.True(t, equality.Semantic.DeepEqual(viaJSON, typed), "%s", diff.Diff(viaJSON, typed))
			}
		}
	}
}

func TestTypedRefusesOtherKinds(t *testing.T) {
	t.Parallel()
	err := conversion.Typed(&v1beta2.DataPowerMonitor{}, &v1beta3.DataPowerService{})
	require.ErrorIs(t, err, conversion.ErrUnknownKind)
	err = conversion.Typed(&v1beta3.DataPowerService{}, &v1beta2.DataPowerMonitor{})
	require.ErrorIs(t, err, conversion.ErrUnknownKind)
}

func TestTypedLeavesNothingOfTheOverwrittenObject(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		out := newService[version]()
		newFiller(1).Fill(out)
		require.NoError(t, conversion.Typed(&v1beta3.DataPowerService{}, out))
		again := newService[version]()
		require.NoError(t, conversion.Typed(&v1beta3.DataPowerService{}, again))
		assert.Equal(t, again, out)
	}
}

// newFiller fills services with random data: every field of the schema, with names and values from small pools where
// the conversion looks at them.
func newFiller(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.4).NumElements(1, 3).MaxDepth(30).Funcs(
		func(meta *metav1.TypeMeta, _ randfill.Continue) { *meta = metav1.TypeMeta{} },
		func(meta *metav1.ObjectMeta, c randfill.Continue) {
			*meta = metav1.ObjectMeta{Name: c.String(20), Namespace: c.String(20), Generation: c.Int63()}
			c.Fill(&meta.Labels)
			c.Fill(&meta.Finalizers)
			c.Fill(&meta.Annotations)
		},
		func(q *resource.Quantity, c randfill.Continue) { *q = resource.MustParse(pick(c, quantities)) },
		func(v *intstr.IntOrString, c randfill.Continue) {
			*v = intstr.FromInt32(c.Int31())
			if c.Bool() {
				*v = intstr.FromString(c.String(10))
			}
		},
		func(v *runtime.RawExtension, c randfill.Continue) {
			v.Raw = fmt.Appendf(nil, `{"fieldRef":{"fieldPath":%q}}`, strconv.Itoa(c.Int()))
		},
		func(when *metav1.Time, c randfill.Continue) { *when = metav1.Unix(c.Int63n(1<<32), 0).Rfc3339Copy() },
		func(c *metav1.Condition, r randfill.Continue) {
			r.FillNoCustom(c)
			c.Type = pick(r, conditionTypes)
		},
		func(s *v1beta3.Storage, c randfill.Continue) {
			c.FillNoCustom(s)
			s.Path = pick(c, names)
			s.VolumeMode = pick(c, []string{"", "Block", "Filesystem"}) //lint:ignore SA1019 it is converted all the same
		},
		func(d *v1beta3.Domain, c randfill.Continue) { c.FillNoCustom(d); d.Name = pick(c, names) },
		func(d *v1beta2.Domain, c randfill.Continue) { c.FillNoCustom(d); d.Name = pick(c, names) },
		func(l *v1beta3.License, c randfill.Continue) {
			*l = v1beta3.License{Accept: c.Bool(), License: pick(c, licenses), Use: v1beta3.LicenseUseProduction}
		},
		func(r *v1beta2.ResourceLimits, c randfill.Continue) { r.Memory = pick(c, memories) },
		func(r *v1beta2.ResourceRequests, c randfill.Continue) {
			c.FillNoCustom(r)
			r.Memory = pick(c, memories)
		},
		func(r *v1beta1.ResourceRequests, c randfill.Continue) {
			*r = v1beta1.ResourceRequests{Memory: pick(c, memories), CPU: new(c.Int63n(10) - 2)}
		},
		func(s *v1beta1.DataPowerServiceSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			s.Version = pick(c, channels)
		},
		func(s *v1beta2.DataPowerServiceSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			s.Version = pick(c, channels)
		},
		func(s *v1beta3.DataPowerServiceSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			s.Version = pick(c, channels)
		},
	)
}

// Pools of values that the conversion looks at.
var (
	quantities     = []string{"4", "8", "1", "0", "-3", "4500m", "4Gi", "8589934592", "1e3", "100m", "9Ei"}
	memories       = []string{"4Gi", "8589934592", "5000Mi", "lots", ""}
	channels       = []string{"10.0.0", "10.0.1", "10.0-eus", "10.0-lts", "10.0-cd", "10.6-lts", "10.6.0.1", ""}
	licenses       = []string{"L-EYGU-PVGRBC", "none"}
	names          = []string{"default", "a", "B", "", `"\<&`, "ü"}
	conditionTypes = []string{"Ready", "Pending", datapower.ConditionError, datapower.ConditionReconcileError}
)

func pick(c randfill.Continue, pool []string) string { return pool[c.Intn(len(pool))] }

func setTypeMeta(object runtime.Object, version string) {
	gv := v1beta3.GroupVersion
	gv.Version = version
	object.GetObjectKind().SetGroupVersionKind(gv.WithKind("DataPowerService"))
}

func apiVersion(version string) string { return datapower.Group + "/" + version }

// randomService returns a random service of a version as JSON.
func randomService(t testing.TB, filler *randfill.Filler, version string) []byte {
	t.Helper()
	service := newService[version]()
	filler.Fill(service)
	setTypeMeta(service, version)
	return []byte(text(t, service))
}

func object(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

// canonical is JSON with sorted keys. It leaves numbers as they are written.
func canonical(t testing.TB, raw []byte) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value))
	return []byte(text(t, value))
}

func text(t testing.TB, object any) string {
	t.Helper()
	out, err := json.Marshal(object)
	require.NoError(t, err)
	return string(out)
}
