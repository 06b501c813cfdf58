package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
)

// crashes runs an action and loses the connection, and with it the process, at each of its writes: before the write is
// done and before its answer arrives. The next process must come to the same end.
func crashes(t *testing.T, prepare, act func(*operator), check func(*testing.T, *operator)) {
	t.Helper()
	for _, lost := range []bool{false, true} {
		for n := 1; ; n++ {
			o := newOperator(t)
			prepare(o)
			act(o)
			if lost {
				o.server.Cut(n, true)
			} else {
				o.server.Cut(n-1, false)
			}
			_, _ = o.reconcile()
			if !o.server.Mend() {
				require.Greater(t, n, 1, "the action writes something")
				break
			}
			o.restart()
			t.Run(fmt.Sprintf("at write %d, done %v", n, lost), func(t *testing.T) {
				check(t, o)
			})
		}
	}
}

// soundly requires one deployed revision and none that is under way.
func soundly(t *testing.T, o *operator) {
	t.Helper()
	assert.Equal(t, 1, strings.Count(o.history(), "deployed"), o.history())
	for _, status := range []string{"pending", "uninstall", "unknown"} {
		assert.NotContains(t, o.history(), status)
	}
}

func TestAProcessThatDiesWhileInstalling(t *testing.T) {
	crashes(t, func(*operator) {}, func(o *operator) { o.want("a=1", "b=1") }, func(t *testing.T, o *operator) {
		o.settles()
		assert.Equal(t, "a=1 b=1", o.data())
		soundly(t, o)
	})
}

func TestAProcessThatDiesWhileUpgrading(t *testing.T) {
	prepare := func(o *operator) {
		o.want("a=1", "b=1")
		o.settles()
	}
	upgrade := func(o *operator) { o.want("a=2", "c=2") }
	t.Run("and finds the same spec", func(t *testing.T) {
		crashes(t, prepare, upgrade, func(t *testing.T, o *operator) {
			o.settles()
			assert.Equal(t, "a=2 c=2", o.data())
			soundly(t, o)
		})
	})
	t.Run("and finds the spec as it was before", func(t *testing.T) {
		crashes(t, prepare, upgrade, func(t *testing.T, o *operator) {
			o.want("a=1", "b=1")
			o.settles()
			assert.Equal(t, "a=1 b=1", o.data())
			soundly(t, o)
		})
	})
	t.Run("and finds another spec", func(t *testing.T) {
		crashes(t, prepare, upgrade, func(t *testing.T, o *operator) {
			o.want("a=3")
			o.settles()
			assert.Equal(t, "a=3", o.data())
			soundly(t, o)
		})
	})
	t.Run("and finds the resource deleted", func(t *testing.T) {
		crashes(t, prepare, upgrade, func(t *testing.T, o *operator) {
			require.NoError(t, o.kube.Delete(context.Background(), o.get()))
			gone(t, o)
		})
	})
}

func TestAProcessThatDiesWhileUninstalling(t *testing.T) {
	prepare := func(o *operator) {
		o.want("a=1", "b=1")
		o.settles()
		o.want("a=2", "c=2")
		o.settles()
	}
	crashes(t, prepare, func(o *operator) {
		require.NoError(o, o.kube.Delete(context.Background(), o.get()))
	}, gone)
}

func TestAProcessThatDiesWhileRepairing(t *testing.T) {
	prepare := func(o *operator) {
		o.want("a=1", "b=1")
		o.settles()
	}
	crashes(t, prepare, func(o *operator) {
		o.wait(time.Hour)
		o.server.Remove(configMapKind, "prod", "a")
		o.server.Remove(configMapKind, "prod", "b")
	}, func(t *testing.T, o *operator) {
		o.settles()
		assert.Equal(t, "a=1 b=1", o.data())
		assert.Equal(t, "1 deployed", o.history())
	})
}

func TestAProcessThatDiesWhileRollingBack(t *testing.T) {
	prepare := func(o *operator) {
		o.want("a=1", "c=1")
		o.settles()
	}
	crashes(t, prepare, func(o *operator) {
		o.server.Reject(configMapKind, "prod", "c", apierrors.NewBadRequest("no"))
		o.want("a=2", "b=2", "c=2")
	}, func(t *testing.T, o *operator) {
		o.server.Reject(configMapKind, "prod", "c", nil)
		o.want("a=3", "c=3")
		o.settles()
		assert.Equal(t, "a=3 c=3", o.data())
		soundly(t, o)
	})
}

// gone reconciles a resource that is being deleted and requires that nothing is left of it.
func gone(t *testing.T, o *operator) {
	t.Helper()
	_, err := o.reconcile()
	require.NoError(t, err)
	assert.Empty(t, o.data())
	assert.Empty(t, o.server.List(secretKind, "prod", labels.Everything()))
	assert.True(t, apierrors.IsNotFound(o.kube.Get(context.Background(), gw, resource())))
}
