// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

func TestInstanceLabelValue(t *testing.T) {
	longNamespace := "a-namespace-that-is-long-enough-to-fill-a-label"
	tests := map[string]struct{ namespace, name, want string }{
		"a short one is namespace and name": {
			namespace: "gateways", name: "edge", want: "gateways-edge",
		},
		"63 characters still fit": {
			namespace: strings.Repeat("n", 31), name: strings.Repeat("s", 31),
			want: strings.Repeat("n", 31) + "-" + strings.Repeat("s", 31),
		},
		// The digests are the output of: printf %s <namespace>-<name> | sha256sum | cut -c1-8
		"a longer one keeps 54 characters and a digest": {
			namespace: longNamespace, name: "and-a-service-of-52-characters-which-is-the-longest1",
			want: "a-namespace-that-is-long-enough-to-fill-a-label-and-a--01c07b7d",
		},
		"two that differ at the end stay different": {
			namespace: longNamespace, name: "and-a-service-of-52-characters-which-is-the-longest2",
			want: "a-namespace-that-is-long-enough-to-fill-a-label-and-a--8ef236e8",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, datapower.InstanceLabelValue(test.namespace, test.name))
		})
	}
	t.Run("any namespace and name make a valid label value", rapid.MakeCheck(func(t *rapid.T) {
		namespace := rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`).Draw(t, "namespace")
		name := rapid.StringMatching(`[a-z]([-a-z0-9]{0,50}[a-z0-9])?`).Draw(t, "name")
		assert.Empty(t, validation.IsValidLabelValue(datapower.InstanceLabelValue(namespace, name)))
	}))
}

func TestNamesOfRenderedObjectsFit(t *testing.T) {
	longest := strings.Repeat("a", datapower.MaxServiceNameLength)
	t.Run("the headless Service of the longest service name has a valid name", func(t *testing.T) {
		assert.Empty(t, validation.IsDNS1035Label(datapower.HeadlessServiceName(longest)))
	})
	t.Run("the other objects are named after the service", func(t *testing.T) {
		assert.Equal(t, "gw-headless", datapower.HeadlessServiceName("gw"))
		assert.Equal(t, "gw-init", datapower.InitConfigMapName("gw"))
		assert.Equal(t, "gw-user-commands", datapower.UserCommandsConfigMapName("gw"))
		assert.Equal(t, "gw-datapower", datapower.ServiceAccountName("gw"))
	})
}
