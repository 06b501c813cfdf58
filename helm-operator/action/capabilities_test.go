package action_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
)

// apiServer answers discovery and counts how often it was asked.
type apiServer struct {
	discovery.DiscoveryInterface
	version    string
	versionErr error
	groupsErr  error
	asked      int
}

func (s *apiServer) ServerVersion() (*version.Info, error) {
	s.asked++
	return &version.Info{GitVersion: s.version, Major: "1", Minor: "31+"}, s.versionErr
}

func (s *apiServer) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	v1 := metav1.GroupVersionForDiscovery{GroupVersion: "v1", Version: "v1"}
	apps := metav1.GroupVersionForDiscovery{GroupVersion: "apps/v1", Version: "v1"}
	return []*metav1.APIGroup{
			{Name: "", Versions: []metav1.GroupVersionForDiscovery{v1}}, {Name: "apps", Versions: []metav1.GroupVersionForDiscovery{apps}},
		}, []*metav1.APIResourceList{
			{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "configmaps", Kind: "ConfigMap"}}},
			{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{{Name: "deployments", Kind: "Deployment"}}},
		}, s.groupsErr
}

func newCapabilities(s *apiServer) (*action.Capabilities, *clocktesting.FakePassiveClock) {
	c := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	return action.NewCapabilities(s, c), c
}

func TestCapabilitiesAreWhatTheServerOffers(t *testing.T) {
	caps, _ := newCapabilities(&apiServer{version: "v1.31.2"})
	got, err := caps.Get()
	require.NoError(t, err)
	assert.Equal(t, chartutil.KubeVersion{Version: "v1.31.2", Major: "1", Minor: "31+"}, got.KubeVersion)
	for _, want := range []string{"v1", "apps/v1", "v1/ConfigMap", "apps/v1/Deployment"} {
		assert.True(t, got.APIVersions.Has(want), want)
	}
	assert.False(t, got.APIVersions.Has("policy/v1"))
	assert.Equal(t, chartutil.DefaultCapabilities.HelmVersion, got.HelmVersion)
}

func TestCapabilitiesAreReadOnceUntilTheyAreOld(t *testing.T) {
	s := &apiServer{version: "v1.31.2"}
	caps, clock := newCapabilities(s)
	for range 3 {
		_, err := caps.Get()
		require.NoError(t, err)
	}
	assert.Equal(t, 1, s.asked)

	s.version = "v1.32.0"
	clock.SetTime(clock.Now().Add(10*time.Minute - 1))
	got, err := caps.Get()
	require.NoError(t, err)
	assert.Equal(t, "v1.31.2", got.KubeVersion.Version)

	clock.SetTime(clock.Now().Add(1))
	got, err = caps.Get()
	require.NoError(t, err)
	assert.Equal(t, "v1.32.0", got.KubeVersion.Version)
	assert.Equal(t, 2, s.asked)
}

func TestAServerThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	cause := errors.New("no connection")
	for name, s := range map[string]*apiServer{
		"its version": {versionErr: cause},
		"its groups":  {groupsErr: cause},
	} {
		t.Run(name, func(t *testing.T) {
			caps, _ := newCapabilities(s)
			_, err := caps.Get()
			require.ErrorIs(t, err, cause)
			s.versionErr, s.groupsErr = nil, nil
			_, err = caps.Get()
			assert.NoError(t, err)
		})
	}
}

func TestOneBrokenAPIDoesNotHideTheOthers(t *testing.T) {
	caps, _ := newCapabilities(&apiServer{version: "v1.31.2", groupsErr: &discovery.ErrGroupDiscoveryFailed{
		Groups: map[schema.GroupVersion]error{{Group: "metrics.k8s.io", Version: "v1"}: errors.New("no endpoints")},
	}})
	got, err := caps.Get()
	require.NoError(t, err)
	assert.True(t, got.APIVersions.Has("apps/v1/Deployment"))
}
