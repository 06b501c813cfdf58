package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/operator-framework/helm-operator-plugins/pkg/reconciler"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	secretKind   = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	priorityKind = schema.GroupVersionKind{Group: "scheduling.k8s.io", Version: "v1", Kind: "PriorityClass"}
)

// operator-sdk 5060 and 6255, stackrox 10302: an operator that caches all Secrets of the cluster needs as much memory as
// they are large.
func TestSecretsOfOthersAreNotHeldInMemory(t *testing.T) {
	const count, size = 8, 200 << 10
	both(t, func(s *scene) {
		s.create("Demo", "small", nil)
		s.deployed("Demo", "small")
		s.settle()
		before := s.received.Load()
		for i := range count {
			require.NoError(s, kube.Create(s.ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("strange-", i), Namespace: s.namespace},
				Data:       map[string][]byte{"data": []byte(incompressible(size))},
			}))
		}
		if s.variant == theirs {
			s.eventually("all of them were sent to it", func() bool { return s.received.Load()-before > count*size })
			return
		}
		time.Sleep(observation)
		assert.Less(s, s.received.Load()-before, int64(size), "not one of them")
	})
}

// helm-operator-plugins PR 198, operator-sdk PR 6026: the API server's schemas are downloaded and parsed by every look.
func TestNoSchemaIsDownloaded(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "schemas", nil)
		s.deployed("Demo", "schemas")
		s.settle()
		before := s.count("/openapi")
		s.touch("Demo", "schemas")
		if s.variant == theirs {
			s.eventually("it downloads them again", func() bool { return s.count("/openapi") > before })
			return
		}
		s.settle()
		assert.Zero(s, s.count("/openapi"), "since the operator's start")
	})
}

// operator-sdk 5728: a template that looks something up renders something else each time.
func TestALookupIsNoReasonToUpgrade(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Seeing", "seeing", nil)
		s.deployed("Seeing", "seeing")
		if s.variant == theirs {
			s.eventually("the revisions grow by themselves", func() bool { v, _ := s.newest("seeing"); return v > 2 })
			return
		}
		s.settle()
		s.touch("Seeing", "seeing")
		time.Sleep(observation)
		version, _ := s.newest("seeing")
		assert.Equal(s, 1, version)
	})
}

// operator-sdk PR 6691: whether templates may look at the cluster is dryRunOption's to say, for the check and for the
// install alike; else what was checked is not what is installed.
func TestALookupFindsOnlyWhatTheWatchAllows(t *testing.T) {
	both(t, func(s *scene) {
		require.NoError(s, kube.Create(s.ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "sought", Namespace: s.namespace}, Data: map[string]string{"text": "found"},
		}))
		for kind, want := range map[string]string{"Seeing": "found", "Blind": pick(s, "none", "found")} {
			name := strings.ToLower(kind)
			s.create(kind, name, nil)
			s.deployed(kind, name)
			assert.Equal(s, want, s.data(name)["sought"], kind)
		}
	})
}

func (s *scene) data(configMap string) map[string]string {
	s.Helper()
	data, _, err := unstructured.NestedStringMap(s.get(configMapKind, configMap).Object, "data")
	require.NoError(s, err)
	return data
}

// operator-sdk 6897: with each upgrade that changes nothing the chart's hooks run again.
func TestHooksDoNotRunAgainWithoutAChange(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "hooked", map[string]any{"random": true, "hook": true})
		s.deployed("Demo", "hooked")
		ran := func() types.UID { return s.get(configMapKind, "hooked-hook").GetUID() }
		first := ran()
		if s.variant == theirs {
			s.eventually("the hook runs again by itself", func() bool {
				return s.exists(configMapKind, "hooked-hook") && ran() != first
			})
		} else {
			s.settle()
			s.touch("Demo", "hooked")
			time.Sleep(observation)
			assert.Equal(s, first, ran())
		}
	})
}

// helm-operator-plugins 106, milvus 145, redpanda 85: revisions pile up, those of failures and rollbacks, too.
func TestTheHistoryStaysBoundedWhateverFails(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Bounded", "bounded", map[string]any{"greeting": "0"})
		s.deployed("Bounded", "bounded")
		for i := 1; i <= 3; i++ {
			before, _ := s.newest("bounded")
			s.patch(s.kind("Bounded"), "bounded", fmt.Sprintf(`{"spec":{"greeting":"%d","brokenHook":true}}`, i))
			s.eventually("the upgrade failed and was taken back", func() bool {
				version, status := s.newest("bounded")
				return version >= before+2 && status == "deployed"
			})
			assert.LessOrEqual(s, len(s.revisions("bounded")), 3)
		}
		s.patch(s.kind("Bounded"), "bounded", `{"spec":{"brokenHook":false}}`)
		s.eventually("it is mended", func() bool { return s.data("bounded")["greeting"] == "3" })
		s.settle()
		version, _ := s.newest("bounded")
		assert.GreaterOrEqual(s, version, 8)
		assert.LessOrEqual(s, len(s.revisions("bounded")), 3)
	})
}

// operator-controller 923: a release that does not fit into one Secret can't be installed.
func TestAReleaseBeyondOneMebibyteIsInstalled(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "large", map[string]any{"greeting": incompressible(700_000)})
		if s.variant == ours {
			s.deployed("Demo", "large")
		} else {
			s.eventually("the failure is told", func() bool {
				return s.condition("Demo", "large", "ReleaseFailed") == "True" || s.condition("Demo", "large", "Irreconcilable") == "True"
			})
			assert.False(s, s.exists(deploymentKind, "large"))
		}
		s.patch(s.kind("Demo"), "large", `{"spec":{"greeting":"small"}}`)
		s.deployed("Demo", "large")
	})
}

// incompressible is text that a release can't make smaller.
func incompressible(length int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(strconv.FormatUint(random.Uint64(), 36))
	}
	return b.String()
}

// operator-sdk PR 6892 and 6895, operator-lib PR 59: each write to a status begins a reconcile.
func TestTheStatusOfOthersIsNoReasonToLook(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "chatty", nil)
		s.deployed("Demo", "chatty")
		s.settle()
		s.touch("Demo", "chatty") // what is learnt from a first look may cost
		s.settle()
		before := s.requests.Load()
		for i := range 3 {
			for _, kind := range []schema.GroupVersionKind{deploymentKind, s.kind("Demo")} {
				s.applyStatus(kind, "chatty", map[string]any{"replicas": int64(i)})
			}
		}
		if s.variant == theirs {
			s.eventually("it looks each time", func() bool { return s.requests.Load()-before > 15 })
			return
		}
		time.Sleep(observation)
		assert.Zero(s, s.requests.Load()-before)
	})
}

// applyStatus writes the fields of a status that belong to somebody else.
func (s *scene) applyStatus(kind schema.GroupVersionKind, name string, status map[string]any) {
	s.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(kind)
	u.SetNamespace(s.namespace)
	u.SetName(name)
	require.NoError(s, kube.Status().Apply(s.ctx, client.ApplyConfigurationFromUnstructured(u),
		client.FieldOwner("somebody"), client.ForceOwnership))
}

// operator-sdk 5145 and 5555: two writers of one status are in each other's way.
func TestWhatOthersWriteIntoTheStatusStays(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "shared", nil)
		s.deployed("Demo", "shared")
		s.settle()
		s.applyStatus(s.kind("Demo"), "shared", map[string]any{
			"phase": "Fine", "conditions": []any{map[string]any{"type": "Theirs", "status": "True"}},
		})
		s.patch(s.kind("Demo"), "shared", `{"spec":{"port":99999}}`)
		s.eventually("the operator has written the status", func() bool {
			return s.condition("Demo", "shared", "ReleaseFailed") == "True" || s.condition("Demo", "shared", "Irreconcilable") == "True"
		})
		s.patch(s.kind("Demo"), "shared", `{"spec":{"port":80}}`)
		s.eventually("and written it again", func() bool {
			return s.condition("Demo", "shared", "Deployed") == "True" && s.condition("Demo", "shared", "Irreconcilable") != "True"
		})
		s.settle()
		phase, _, err := unstructured.NestedString(s.get(s.kind("Demo"), "shared").Object, "status", "phase")
		require.NoError(s, err)
		assert.Equal(s, pick(s, "Fine", ""), phase)
		assert.Equal(s, "True", s.condition("Demo", "shared", "Theirs"))
	})
}

// operator-sdk 5371: two operators share a kind by selectors; events of dependents bypass them.
func TestAnOperatorLeavesAloneWhatItDoesNotSelect(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Selected", "moved", nil, "ours")
		s.deployed("Selected", "moved")
		s.settle()
		s.patch(s.kind("Selected"), "moved", `{"metadata":{"labels":null}}`)
		s.settle()
		service := s.get(serviceKind, "moved")
		require.NoError(s, kube.Delete(s.ctx, service))
		if s.variant == theirs {
			s.eventually("it makes the object again", func() bool {
				return s.exists(serviceKind, "moved") && s.get(serviceKind, "moved").GetUID() != service.GetUID()
			})
			assert.NotEmpty(s, s.get(s.kind("Selected"), "moved").GetFinalizers(), "that nobody will take off")
			s.patch(s.kind("Selected"), "moved", `{"metadata":{"labels":{"ours":"true"}}}`)
			return
		}
		time.Sleep(observation)
		assert.False(s, s.exists(serviceKind, "moved"))
		assert.Empty(s, s.get(s.kind("Selected"), "moved").GetFinalizers())
		assert.True(s, s.exists(deploymentKind, "moved"), "nothing is uninstalled")
		s.patch(s.kind("Selected"), "moved", `{"metadata":{"labels":{"ours":"true"}}}`)
		s.eventually("selected again, it is put right", func() bool { return s.exists(serviceKind, "moved") })
		s.settle()
		assert.NotEmpty(s, s.get(s.kind("Selected"), "moved").GetFinalizers())
	})
}

// operator-sdk 6115 and 4084, helm-operator-plugins 220: an override changes its type.
func TestOverridesKeepTheirType(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Overridden", "typed", map[string]any{"text": "mine"})
		s.deployed("Overridden", "typed")
		assert.Equal(s, map[string]string{
			"flag": "bool true", "text": "string it's", "number": pick(s, "float64 7", "int64 7"),
			"list": pick(s, "slice [a,b c]", "slice [a c]"),
		}, s.data("typed"))
	})
	_, err := reconciler.New(reconciler.WithGroupVersionKind(theirs.kind("Overridden")),
		reconciler.WithOverrideValues(map[string]string{"text": "a,b"}))
	assert.ErrorContains(t, err, "has no value", "the stock reconciler can't be given a comma")
}

// operator-sdk 3407, 4401 and 6572: an uninstall leaves objects. In a foreground deletion the garbage collector may take
// the release's Secrets first, and does not take what can't have an owner.
func TestAForegroundDeletionLeavesNothing(t *testing.T) {
	both(t, func(s *scene) {
		elsewhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: s.name + "-elsewhere-"}}
		require.NoError(s, kube.Create(s.ctx, elsewhere))
		s.create("Demo", "spread", map[string]any{"elsewhere": elsewhere.Name})
		s.deployed("Demo", "spread")
		s.settle()
		s.whileHeld(func() {
			require.NoError(s, kube.Delete(s.ctx, s.get(s.kind("Demo"), "spread"), client.PropagationPolicy(metav1.DeletePropagationForeground)))
			require.NoError(s, kube.DeleteAllOf(s.ctx, &corev1.Secret{}, client.InNamespace(s.namespace), client.MatchingLabels{"owner": "helm"}))
		})
		s.eventually("the operator is done", func() bool {
			return assert.ObjectsAreEqual([]string{metav1.FinalizerDeleteDependents}, s.get(s.kind("Demo"), "spread").GetFinalizers())
		})
		there := func(kind schema.GroupVersionKind, namespace, name string) bool {
			u := &unstructured.Unstructured{}
			u.SetGroupVersionKind(kind)
			return kube.Get(s.ctx, types.NamespacedName{Namespace: namespace, Name: name}, u) == nil
		}
		assert.Equal(s, pick(s, false, true), there(configMapKind, elsewhere.Name, "spread"))
		assert.Equal(s, pick(s, false, true), there(priorityKind, "", "spread-"+s.namespace))
		s.patch(s.kind("Demo"), "spread", `{"metadata":{"finalizers":null}}`) // as the garbage collector would
	})
}

// operator-sdk 3367 and 5181: an autoscaler and the operator fight for the replicas.
func TestReplicasAreHandedToAnAutoscaler(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "elastic", map[string]any{"replicas": int64(4)})
		s.deployed("Demo", "elastic")
		s.settle()
		s.patch(s.kind("Demo"), "elastic", `{"spec":{"autoscaled":true}}`)
		s.eventually("the chart has given them up", func() bool { v, status := s.newest("elastic"); return v == 2 && status == "deployed" })
		s.settle()
		replicas := func() int64 {
			n, _, err := unstructured.NestedInt64(s.get(deploymentKind, "elastic").Object, "spec", "replicas")
			require.NoError(s, err)
			return n
		}
		assert.EqualValues(s, pick(s, 4, 1), replicas(), "the stock reconciler's upgrade takes the pods away")
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 6}}
		require.NoError(s, kube.SubResource("scale").Update(s.ctx, s.get(deploymentKind, "elastic"), client.WithSubResourceBody(scale)))
		s.touch("Demo", "elastic")
		s.settle()
		assert.EqualValues(s, 6, replicas())
	})
}

// lag is longer than ours gives its caches to show what it wrote.
const lag = 3 * time.Second

// helm-operator-plugins 212: without watches on dependents and without a period the operator looks all the same.
func TestWithoutDependentWatchesNothingBeginsALook(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Unwatched", "unwatched", nil)
		s.deployed("Unwatched", "unwatched")
		s.settle()
		time.Sleep(lag) // ours looks once more when its cache may have lagged behind its writes
		before := s.requests.Load()
		s.patch(secretKind, "sh.helm.release.v1.unwatched.v1", `{"metadata":{"annotations":{"touched":"true"}}}`)
		s.patch(configMapKind, "unwatched", `{"data":{"greeting":"edited"}}`)
		if s.variant == theirs {
			s.eventually("it looks at the release", func() bool { return s.requests.Load()-before > 15 })
			return
		}
		time.Sleep(observation)
		assert.Zero(s, s.requests.Load()-before)
		assert.Equal(s, "edited", s.data("unwatched")["greeting"])
	})
}

// helm.sh/resource-policy: keep is for the data of one resource; its successor of the same name is to get it back.
func TestASuccessorGetsWhatItsPredecessorWasToKeep(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "heir", map[string]any{"kept": true})
		s.deployed("Demo", "heir")
		s.settle()
		kept := s.get(configMapKind, "heir-kept").GetUID()
		require.NoError(s, kube.Delete(s.ctx, s.get(s.kind("Demo"), "heir")))
		s.eventually("it is gone", func() bool { return !s.exists(s.kind("Demo"), "heir") })
		require.True(s, s.exists(configMapKind, "heir-kept"))
		s.create("Demo", "heir", map[string]any{"kept": true})
		s.deployed("Demo", "heir")
		assert.Equal(s, kept, s.get(configMapKind, "heir-kept").GetUID())
	})
}
