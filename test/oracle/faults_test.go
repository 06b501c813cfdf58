package oracle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Helm edits a chart's dependencies in place (helm 9905): a subchart that one resource switches off
// is off for every later one.
func TestASubchartThatOneResourceSwitchesOffStaysOnForOthers(t *testing.T) {
	both(t, func(s *scene) {
		s.nested("first", true)
		s.nested("second", false)
		s.nested("third", true)
		assert.True(s, s.exists(configMapKind, "third-nested"))
		assert.Equal(s, pick(s, true, false), s.exists(configMapKind, "third-sub"))
	})
}

func (s *scene) nested(name string, enabled bool) {
	s.Helper()
	s.create("Nested", name, map[string]any{"sub": map[string]any{"enabled": enabled}})
	s.deployed("Nested", name)
}

func TestDriftInAListOfACustomResourceIsRepaired(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "listed", map[string]any{"widget": true})
		s.deployed("Demo", "listed")
		s.settle()
		s.patch(widgetKind, "listed", `{"spec":{"items":["x","a","b"]}}`)
		s.touch("Demo", "listed")
		items := func() []string {
			list, _, err := unstructured.NestedStringSlice(s.get(widgetKind, "listed").Object, "spec", "items")
			require.NoError(s, err)
			return list
		}
		// The stock reconciler drops the removal of x from its patch, so that b is there twice.
		want := pick(s, []string{"a", "b"}, []string{"a", "b", "b"})
		s.eventually("the list is as expected", func() bool { return assert.ObjectsAreEqual(want, items()) })
	})
}

func TestWhatPeopleAddToAPodTemplateIsRemoved(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "rogue", nil)
		s.deployed("Demo", "rogue")
		s.settle()
		d := &appsv1.Deployment{}
		require.NoError(s, kube.Get(s.ctx, s.key("rogue"), d))
		before := d.DeepCopy()
		pod := &d.Spec.Template.Spec
		pod.HostNetwork = true
		pod.NodeSelector = map[string]string{"disk": "ssd"}
		pod.Containers[0].Env = append(pod.Containers[0].Env, corev1.EnvVar{Name: "ROGUE", Value: "1"})
		pod.Containers = append(pod.Containers, corev1.Container{Name: "rogue", Image: "registry.invalid/rogue:1"})
		require.NoError(s, kube.Patch(s.ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-edit")))
		added := func() (out []string) {
			require.NoError(s, kube.Get(s.ctx, s.key("rogue"), d))
			pod := d.Spec.Template.Spec
			for what, there := range map[string]bool{
				"hostNetwork": pod.HostNetwork, "nodeSelector": pod.NodeSelector != nil,
				"an environment variable": len(pod.Containers[0].Env) > 1, "a container": len(pod.Containers) > 1,
			} {
				if there {
					out = append(out, what)
				}
			}
			return out
		}
		if s.variant == ours {
			s.eventually("the additions are gone", func() bool { return len(added()) == 0 })
			s.settle()
		} else {
			s.settle()
			assert.Len(s, added(), 4, "the stock reconciler leaves them all")
		}
		patches := func() int { return s.count("PATCH /apis/apps/v1/namespaces/" + s.namespace + "/deployments/rogue") }
		sent := patches()
		s.touch("Demo", "rogue")
		if s.variant == theirs {
			s.eventually("it sends a patch that changes nothing with each look", func() bool { return patches() > sent })
			return
		}
		s.settle()
		assert.Equal(s, sent, patches())
	})
}

// The stock reconciler finds out by a dry run whether an upgrade is due, and rolls back when that
// fails (helm-operator-plugins 227).
func TestALookAtAReleaseThatCannotBeReadChangesNothing(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "gone", nil)
		s.deployed("Demo", "gone")
		s.patch(s.kind("Demo"), "gone", `{"spec":{"greeting":"two"}}`)
		s.eventually("the upgrade is done", func() bool { v, status := s.newest("gone"); return v == 2 && status == "deployed" })
		s.settle()
		s.tamper("gone", func(r *helmrelease.Release) {
			r.Manifest += "\n---\napiVersion: removed.example/v1\nkind: Removed\nmetadata:\n  name: removed\n"
		})
		s.touch("Demo", "gone")
		if s.variant == theirs {
			s.eventually("it has rolled back for real", func() bool { v, _ := s.newest("gone"); return v >= 3 })
			return
		}
		time.Sleep(observation)
		version, status := s.newest("gone")
		assert.Equal(s, 2, version)
		assert.Equal(s, "deployed", status)
	})
}

// A process that dies leaves its release pending (helm-operator-plugins 94 and 462, operator-sdk
// 6254).
func TestAReleaseThatACrashLeftPendingIsTakenUpAgain(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "crashed", nil)
		s.deployed("Demo", "crashed")
		s.settle()
		s.tamper("crashed", func(r *helmrelease.Release) { r.Info.Status = helmrelease.StatusPendingUpgrade })
		s.touch("Demo", "crashed")
		if s.variant == ours {
			s.eventually("the release is deployed again", func() bool { _, status := s.newest("crashed"); return status == "deployed" })
			s.deployed("Demo", "crashed")
			return
		}
		s.eventually("it is stuck", func() bool { return s.condition("Demo", "crashed", "Irreconcilable") == "True" })
		time.Sleep(observation)
		_, status := s.newest("crashed")
		assert.Equal(s, "pending-upgrade", status, "and stays so")
	})
}

func TestTwoKindsOfOneNameDoNotTakeOverEachOthersRelease(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "same", nil)
		s.deployed("Demo", "same")
		s.settle()
		s.create("Other", "same", nil)
		if s.variant == ours {
			s.eventually("the second is told", func() bool { return s.condition("Other", "same", "Irreconcilable") == "True" })
			assert.True(s, s.exists(deploymentKind, "same"))
			assert.False(s, s.exists(configMapKind, "same-other"))
			return
		}
		s.eventually("the first kind's objects are deleted", func() bool { return !s.exists(deploymentKind, "same") })
	})
}

// helm-operator-plugins 224: upgrade and rollback for ever, each leaving revisions.
func TestAnUpgradeThatIsRefusedMakesNoRevisions(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "refused", nil)
		s.deployed("Demo", "refused")
		s.settle()
		s.patch(s.kind("Demo"), "refused", `{"spec":{"port":99999}}`)
		if s.variant == theirs {
			s.eventually("the revisions grow", func() bool { v, _ := s.newest("refused"); return v > 4 })
		} else {
			s.eventually("the failure is told", func() bool { return s.condition("Demo", "refused", "ReleaseFailed") == "True" })
			time.Sleep(observation)
			version, _ := s.newest("refused")
			assert.Equal(s, 1, version)
		}
	})
}

// operator-sdk 5728 and 6609, helm-operator-plugins 209: a chart that renders something else each
// time is upgraded at each look, and each upgrade makes the next look.
func TestAChartThatRendersRandomTextIsNotUpgradedForEver(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "random", map[string]any{"random": true})
		s.deployed("Demo", "random")
		if s.variant == theirs {
			s.eventually("the revisions grow by themselves", func() bool { v, _ := s.newest("random"); return v > 2 })
		} else {
			s.settle()
			s.touch("Demo", "random")
			time.Sleep(observation)
			version, _ := s.newest("random")
			assert.Equal(s, 1, version)
		}
	})
}

// operator-sdk PR 6354 and 5186: each look at a release lists Secrets, discovers the API and
// downloads its schemas.
func TestALookAtWhatIsRightCostsNoRequest(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "right", nil)
		s.deployed("Demo", "right")
		s.settle()
		s.touch("Demo", "right") // what is learnt from a first look may cost
		s.settle()
		before := s.requests.Load()
		s.touch("Demo", "right")
		time.Sleep(observation)
		cost := s.requests.Load() - before
		if s.variant == ours {
			assert.Zero(s, cost)
			return
		}
		assert.Greater(s, cost, int64(15))
	})
}

// A custom resource that was changed must not look deployed before it is.
func TestTheStatusTellsWhichGenerationItSpeaksOf(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "observed", nil)
		s.deployed("Demo", "observed")
		u := s.get(s.kind("Demo"), "observed")
		observed, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		require.NoError(s, err)
		assert.Equal(s, pick(s, true, false), found)
		assert.Equal(s, pick(s, u.GetGeneration(), 0), observed)
	})
}

// Helm: a null removes the chart's default. The stock reconciler merges the defaults twice, and the
// second time the key is just missing.
func TestANullRemovesTheChartsDefault(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "nulled", map[string]any{"greeting": nil})
		s.deployed("Demo", "nulled")
		greeting, _, err := unstructured.NestedString(s.get(configMapKind, "nulled").Object, "data", "greeting")
		require.NoError(s, err)
		assert.Equal(s, pick(s, "", "hello"), greeting)
	})
}
